package gateway

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// tokenPrefix begins the subprotocol that carries a browser's token: browsers
// can set no header on an upgrade. It is never echoed, and never logged.
const tokenPrefix = "base64url.bearer.authorization.qpq."

// maxFrame bounds a frame of a client: a token (8 KiB) and what surrounds it.
const maxFrame = 16 << 10

// handshake is a request that really is a WebSocket upgrade to one of our codecs.
type handshake struct {
	codec codec
	token string
	// browser: the token came as a subprotocol. Whoever sends it so cannot read an
	// HTTP error, and is told by the close code of an upgraded connection.
	browser bool
}

func (g *Gateway) streamAll(w http.ResponseWriter, r *http.Request) error {
	return g.stream(w, r, func() (req nodeservice.FollowRequest, err error) {
		_, err = query(r)
		return req, err
	})
}

func (g *Gateway) streamChannel(w http.ResponseWriter, r *http.Request) error {
	return g.stream(w, r, func() (req nodeservice.FollowRequest, err error) {
		values, err := query(r, "after")
		if err != nil {
			return req, err
		}
		if req.Channel, err = pathChannel(r); err != nil {
			return req, err
		}
		req.After, err = seqParam(values, "after")
		return req, err
	})
}

// stream upgrades, and hands the connection over to goroutines of the stream set:
// net/http's for this request ends, and with it what it holds.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request, request func() (nodeservice.FollowRequest, error)) error {
	h, err := readHandshake(w, r)
	if err != nil {
		return err
	}
	s := newStream(h.codec, g.log.With("request", w.Header().Get("X-Request-Id")))
	err = g.openStream(s, r, h, request)
	if err != nil && !h.browser {
		s.release()
		return err
	}
	if conn, failed := websocket.Accept(w, r, s.acceptOptions()); failed != nil {
		s.release()
		return nil // Accept has answered
	} else {
		s.attach(conn)
	}
	g.streams.start(s, err)
	return nil
}

// openStream does all that can fail for a reason of the client's.
func (g *Gateway) openStream(s *stream, r *http.Request, h handshake, request func() (nodeservice.FollowRequest, error)) error {
	if err := g.checkOrigin(r); err != nil {
		return err
	}
	if g.closing.Err() != nil {
		return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the node is shutting down", RetryAfter: comeBackAfter()}
	}
	session, err := g.authenticate(r, h.token)
	if err != nil {
		return err
	}
	s.session = session
	req, err := request()
	if err != nil {
		return err
	}
	// Not the request's context: it ends with this handler, and the stream goes on.
	s.source, err = session.Follow(s.ctx, req)
	return err
}

// readHandshake refuses what is no upgrade, and an upgrade to nothing of ours.
func readHandshake(w http.ResponseWriter, r *http.Request) (h handshake, err error) {
	if err := checkUpgrade(w, r); err != nil {
		return h, err
	}
	offered := headerTokens(r.Header, "Sec-WebSocket-Protocol")
	i := slices.IndexFunc(codecs, func(c codec) bool { return slices.Contains(offered, c.subprotocol) })
	if i < 0 {
		return h, invalidf("offer the WebSocket subprotocol %s", codecs[0].subprotocol)
	}
	h.codec = codecs[i]
	if h.token, err = accessToken(r); err != nil {
		return h, err
	}
	for _, offer := range offered {
		text, carries := strings.CutPrefix(offer, tokenPrefix)
		if !carries {
			continue
		}
		if h.browser || r.Header.Get("Authorization") != "" {
			return h, invalidf("the token comes twice")
		}
		h.browser = true
		token, _ := base64.RawURLEncoding.DecodeString(text) // what is no token, the core refuses
		h.token = string(token)
	}
	return h, nil
}

// checkUpgrade answers 426 to everything but a WebSocket handshake (RFC 6455
// section 4.2.1), so that the library below finds nothing to object to.
func checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	if r.ProtoMajor != 1 || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") {
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		return unmatchedf(http.StatusUpgradeRequired, "this path is a WebSocket, over HTTP/1.1")
	}
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		h.Set("Sec-WebSocket-Version", "13")
		return unmatchedf(http.StatusUpgradeRequired, "the WebSocket version must be 13")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return invalidf("the Sec-WebSocket-Key header must come once")
	}
	if raw, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(raw) != 16 {
		return invalidf("the Sec-WebSocket-Key must be 16 bytes in base64")
	}
	return nil
}

func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(headerTokens(h, name), func(t string) bool { return strings.EqualFold(t, token) })
}

// headerTokens splits a header that is a list of tokens.
func headerTokens(h http.Header, name string) []string {
	var tokens []string
	for part := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		tokens = append(tokens, strings.TrimSpace(part))
	}
	return tokens
}
