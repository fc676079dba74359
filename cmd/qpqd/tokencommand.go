package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// tokenCommand works on the node's own tokens and the keys that sign them, beside
// a running node or without one.
type tokenCommand struct {
	DataDir   string    `default:"./var/qpqd" placeholder:"DIR" help:"The node's data directory."`
	RedisURL  secretURL `name:"redis-url" placeholder:"URL" help:"The nodes' --redis-url, if they keep their keys in Redis."`
	TokenKeys string    `placeholder:"FILE" help:"The node's --token-keys. Default: those in Redis, or in the data directory."`

	Rotate  tokenRotate  `cmd:"" help:"Add a key that will sign from soon on. A running node takes it over within seconds, and nobody is logged out."`
	Inspect tokenInspect `cmd:"" help:"Verify a token of the node's own and print what it says, as JSON."`
	Issue   tokenIssue   `cmd:"" help:"Print a token for any identity. WARNING: whoever can run this, or read the key file, speaks for every identity of the node."`
}

func (c *tokenCommand) keysPath() string {
	if c.TokenKeys != "" {
		return c.TokenKeys
	}
	return filepath.Join(c.DataDir, keysFile)
}

// keys reads the keys from where the node has them.
func (c *tokenCommand) keys(ctx context.Context) (*identity.SigningKeys, error) {
	if c.TokenKeys == "" && c.RedisURL != "" {
		return readSharedKeys(ctx, c.RedisURL)
	}
	return readKeys(c.keysPath())
}

func (c *tokenCommand) rotate(ctx context.Context, now time.Time, lead, keep time.Duration) error {
	if c.TokenKeys == "" && c.RedisURL != "" {
		return rotateSharedKeys(ctx, c.RedisURL, now, lead, keep)
	}
	return rotateKeys(c.keysPath(), now, lead, keep)
}

// tokenRotate waits long enough, by default, that a node that looks each second,
// and those who keep our JWKS for a minute, know the new key before it signs.
type tokenRotate struct {
	Lead time.Duration `default:"2m" help:"Until the new key signs: what every node needs to learn of it."`
	Keep time.Duration `default:"25h" help:"From then on, until the older keys verify no more: longer than any token lives."`
}

// Run replaces the key file, or the keys in Redis.
func (r *tokenRotate) Run(ctx context.Context, grammar *commandLine, std streams) error {
	now := time.Now()
	if r.Lead < 0 || r.Keep < 0 {
		return usageError{errors.New("--lead and --keep are not negative")}
	}
	if err := grammar.Token.rotate(ctx, now, r.Lead, r.Keep); err != nil {
		return err
	}
	signs := now.Add(r.Lead).UTC()
	_, err := fmt.Fprintf(std.out, "a new key signs from %s on; the older ones verify until %s\n",
		signs.Format(time.RFC3339), signs.Add(r.Keep).Format(time.RFC3339))
	return err
}

type tokenInspect struct {
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8420" placeholder:"URL" help:"The node's --public-url."`
	Token     string `arg:"" optional:"" help:"The token. Default: read from standard input, where no list of processes shows it."`
}

// Run says what the token says, once it is known to be genuine. Neither the token
// nor its signature is printed.
func (i *tokenInspect) Run(ctx context.Context, grammar *commandLine, std streams) error {
	keys, err := grammar.Token.keys(ctx)
	if err != nil {
		return err
	}
	text := i.Token
	if text == "" {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, identity.MaxTokenSize+2))
		if err != nil {
			return err
		}
		text = strings.TrimSpace(string(data))
	}
	verifier := identity.NewVerifier(identity.VerifierConfig{Issuer: i.PublicURL, Audience: i.PublicURL, Keys: keys})
	token, err := verifier.Verify(ctx, text, time.Now())
	if err = errors.Join(err, verifier.Close()); err != nil {
		return err
	}
	encoder := json.NewEncoder(std.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Identity  string    `json:"identity"`
		Issuer    string    `json:"iss"`
		ID        string    `json:"jti"`
		IssuedAt  time.Time `json:"iat"`
		ExpiresAt time.Time `json:"exp"`
		KeyID     string    `json:"kid"`
	}{token.Identity.String(), token.Issuer, token.ID, token.IssuedAt, token.ExpiresAt, token.Signer.KeyID})
}

type tokenIssue struct {
	PublicURL string        `name:"public-url" default:"http://127.0.0.1:8420" placeholder:"URL" help:"The node's --public-url."`
	Identity  string        `required:"" placeholder:"KEY" help:"Whom the token speaks for: the identity key in base64url."`
	TTL       time.Duration `name:"ttl" default:"15m" help:"How long it is valid; at most 24h."`
}

// Run prints the token alone.
func (i *tokenIssue) Run(ctx context.Context, grammar *commandLine, std streams) error {
	id, err := identity.ParseKeyText(i.Identity)
	switch {
	case err != nil:
		return usageError{fmt.Errorf("--identity: %w", err)}
	case i.TTL < time.Second || i.TTL > maxTokenTTL:
		return usageError{fmt.Errorf("--ttl is from 1s to %v", maxTokenTTL)}
	}
	if err := checkOrigin(i.PublicURL); err != nil {
		return usageError{fmt.Errorf("--public-url: %w", err)}
	}
	keys, err := grammar.Token.keys(ctx)
	if err != nil {
		return err
	}
	token, _, err := identity.NewIssuer(identity.IssuerConfig{URL: i.PublicURL, Keys: keys, TTL: i.TTL}).Mint(id, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, token)
	return err
}
