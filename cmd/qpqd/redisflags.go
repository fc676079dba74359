package main

import (
	"net/url"

	"github.com/quicproquo/node/nodeservice/redisstore"
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

// durability says when a write to Redis counts as stored: a setting that
// redisstore reads, and has read once.
type durability string

// asConfigured is the default: nothing is waited for but Redis's own answer.
const asConfigured durability = "as-configured"

func (d *durability) UnmarshalText(text []byte) error {
	_, err := redisstore.ParseWait(string(text))
	*d = durability(text)
	return err
}

func (d durability) MarshalText() ([]byte, error) { return []byte(d), nil }

func (d durability) wait() redisstore.Wait {
	w, _ := redisstore.ParseWait(string(d)) // as UnmarshalText did
	return w
}
