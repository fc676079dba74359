package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// defaultAudience is that of a qpqd that runs with its defaults.
const defaultAudience = "http://127.0.0.1:8420"

// server is a door to a node, as --server names it.
type server struct {
	text    string // as configured
	scheme  string // capnp, capnps, quic, unix, http or https
	address string // host:port, or a path for unix
	origin  string // of http and https: what a browser would call it; else ""
}

// parseServer reads capnp://HOST:PORT, capnps://HOST:PORT, quic://HOST:PORT,
// unix:PATH or unix://PATH, http://HOST[:PORT] or https://HOST[:PORT].
func parseServer(text string) (server, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path = strings.TrimPrefix(path, "//"); path != "" {
			return server{text: text, scheme: "unix", address: path}, nil
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return server{}, fmt.Errorf("--server %q is not SCHEME://HOST:PORT", text)
	}
	s := server{text: text, scheme: u.Scheme, address: strings.ToLower(u.Host)}
	switch u.Scheme {
	case "capnp", "capnps", "quic":
		if u.Port() == "" {
			s.address = net.JoinHostPort(strings.ToLower(u.Hostname()), "7420")
		}
	case "http", "https":
		standard := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
		s.origin = u.Scheme + "://" + strings.TrimSuffix(s.address, standard)
	default:
		return server{}, fmt.Errorf("--server %q is none of capnp, capnps, quic, http, https and unix:PATH", text)
	}
	return s, nil
}

// encrypted says that the door speaks TLS.
func (s server) encrypted() bool {
	return s.scheme == "capnps" || s.scheme == "quic" || s.scheme == "https"
}

// local says that the door is on this machine.
func (s server) local() bool {
	if s.scheme == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(s.address)
	if err != nil {
		host = s.address
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// errNoAudience says that the user must decide for whom we sign.
var errNoAudience = errors.New("--audience is required: the public URL of the node behind this server, which is not learnt from the server itself")

// audience decides whom we sign for, and so to whom our token may go: never by
// what a server says, or it could have us log in to another node on its behalf.
//
// What the user says holds. Without it, a server that was used with this state
// before keeps its audience; an HTTP server is its own origin; a native door on
// this machine belongs to a qpqd with its defaults. That must be the audience
// that the state is for: anything else needs a word from the user.
func (s server) audience(said string, st *state) (string, error) {
	switch {
	case said != "":
		return said, nil
	case slices.Contains(st.Servers, s.text):
		return st.Audience, nil
	}
	guess := s.origin
	if guess == "" && s.local() {
		guess = defaultAudience
	}
	switch {
	case guess == "":
		return "", errNoAudience
	case st.Audience != "" && st.Audience != guess:
		return "", fmt.Errorf("this state is for the node %s, and --server is %s: if that is a door of the same node, say --audience %s; for another node use another --state",
			st.Audience, s.text, st.Audience)
	}
	return guess, nil
}

// configure records the decision. What belongs to another node is forgotten:
// above all its token, which must not go to this one.
func (s *state) configure(audience string, via server) {
	if s.Audience != "" && s.Audience != audience {
		s.forgetNode()
	}
	s.Audience = audience
	if !slices.Contains(s.Servers, via.text) {
		s.Servers = append(s.Servers, via.text)
	}
}
