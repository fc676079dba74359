package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// secretURL is a URL that may hold a password, which is not shown.
type secretURL string

func (u *secretURL) UnmarshalText(text []byte) error {
	*u = secretURL(text)
	return nil
}

func (u secretURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// String hides the password.
func (u secretURL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return "(hidden)"
	}
	query := parsed.Query()
	if query.Has("password") { // of the master that Sentinel names
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
}

// durability says when a write to Redis counts as stored. The zero value is
// "as-configured".
type durability struct {
	replicas int  // that must have it in memory
	file     bool // whether Redis's own file must have it on disk
}

func (d *durability) UnmarshalText(text []byte) error {
	*d = durability{}
	switch replicas, wait := strings.CutPrefix(string(text), "wait-replicas="); {
	case string(text) == "as-configured":
		return nil
	case string(text) == "waitaof":
		d.file = true
		return nil
	case wait:
		n, err := strconv.Atoi(replicas)
		if err == nil && n >= 1 && n <= 100 {
			d.replicas = n
			return nil
		}
	}
	return fmt.Errorf("%q is none of as-configured, wait-replicas=N (from 1 to 100), waitaof", text)
}

func (d durability) MarshalText() ([]byte, error) {
	switch {
	case d.file:
		return []byte("waitaof"), nil
	case d.replicas > 0:
		return fmt.Appendf(nil, "wait-replicas=%d", d.replicas), nil
	}
	return []byte("as-configured"), nil
}
