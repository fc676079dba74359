package gateway

import (
	"net/http"

	"github.com/quicproquo/node/nodeservice"
)

// livez answers while the process serves at all.
func (g *Gateway) livez(w http.ResponseWriter, _ *http.Request) error {
	writeBody(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	return nil
}

// readyz answers whether requests should be sent here.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) error {
	err := g.ready(r.Context())
	if g.closing.Err() != nil {
		err = g.closing.Err()
	}
	if unready := err != nil; g.unready.Swap(unready) != unready {
		g.log.Info("readiness changed", "ready", !unready, "cause", err)
	}
	if err != nil {
		return nodeservice.Errorf(nodeservice.CodeUnavailable, "the node is not ready to serve")
	}
	writeBody(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ready\n"))
	return nil
}

// jwks gives the public keys of our tokens (RFC 7517).
func (g *Gateway) jwks(w http.ResponseWriter, r *http.Request) error {
	info, err := g.node.Info(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	writeBody(w, http.StatusOK, "application/jwk-set+json", info.JWKS)
	return nil
}

func (g *Gateway) info(w http.ResponseWriter, r *http.Request) error {
	if err := acceptable(r); err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	info, err := g.node.Info(r.Context())
	if err != nil {
		return err
	}
	type limits struct {
		MaxPayload    int   `json:"max_payload"`
		MaxFetch      int   `json:"max_fetch"`
		MaxFetchBytes int   `json:"max_fetch_bytes"`
		MaxWaitMS     int64 `json:"max_wait_ms"`
	}
	return writeJSON(w, http.StatusOK, struct {
		MinVersion   uint16    `json:"min_version"`
		MaxVersion   uint16    `json:"max_version"`
		Capabilities []string  `json:"capabilities"`
		Audience     string    `json:"audience"`
		Durability   string    `json:"durability"`
		ServerTime   timestamp `json:"server_time"`
		Legacy       bool      `json:"legacy"`
		Limits       limits    `json:"limits"`
	}{
		info.MinVersion, info.MaxVersion, append([]string{}, info.Capabilities...), info.Audience, info.Durability,
		timestamp(info.ServerTime), info.Legacy,
		limits{info.MaxPayload, info.MaxFetch, info.MaxFetchBytes, info.MaxWait.Milliseconds()},
	})
}
