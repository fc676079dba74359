package gatewayclient

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

const (
	maxAnswer  = 4*nodeservice.MaxFetchBytes/3 + 1<<20 // bytes: a full page in base64url, and what surrounds it
	maxProblem = 64 << 10                              // bytes of an answer that is an error
	maxHeader  = 64 << 10                              // bytes
	slowest    = 64 << 10                              // bytes/s: no line is slower
)

// request is one call of a route.
type request struct {
	method string
	path   string // below the base, escaped
	query  url.Values
	token  string
	header map[string]string
	accept string // "": application/json
	kind   string // Content-Type of body
	body   []byte // in memory, for every try
	repeat
}

// get is a request that reads, and so may be repeated.
func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query, repeat: repeat{safe: true}}
}

// json gives the request a JSON body.
func (r request) json(body any) request {
	r.kind = "application/json"
	r.body, _ = json.Marshal(body) // maps of strings, numbers and octets
	return r
}

// do makes a request and decodes its answer; answer may be nil.
func (c *Client) do(ctx context.Context, r request, answer any) error {
	body, err := c.send(ctx, r)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return &nodeservice.Error{Code: nodeservice.CodeInternal, Detail: "the gateway's answer cannot be read", Cause: err}
	}
	return nil
}

// send makes a request, as often as it takes and may, and reads its whole answer.
// Its errors are *nodeservice.Error.
func (c *Client) send(ctx context.Context, r request) ([]byte, error) {
	o := c.retrying(ctx, r.repeat, func(ctx context.Context) outcome { return c.try(ctx, r) })
	if o.err != nil {
		return nil, o.err
	}
	return o.body, nil
}

// try makes a request once.
func (c *Client) try(ctx context.Context, r request) outcome {
	heard, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(r.patience(), cancel)
	defer silence.Stop()
	req, err := c.newRequest(heard, r)
	if err != nil {
		return outcome{err: &nodeservice.Error{Code: nodeservice.CodeInvalidArgument, Detail: "the request cannot be made", Cause: err}}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unanswered(ctx, err)
	}
	defer resp.Body.Close()
	c.proofs.noteNonce(resp)
	limit := maxAnswer
	if resp.StatusCode/100 != 2 {
		limit = maxProblem
	}
	body, err := io.ReadAll(io.LimitReader(progress{resp.Body, silence}, int64(limit)+1))
	switch {
	case err != nil:
		return unanswered(ctx, err)
	case len(body) > limit:
		return outcome{err: nodeservice.Errorf(nodeservice.CodeInternal, "the gateway's answer is larger than %d bytes", limit), status: resp.StatusCode}
	case resp.StatusCode/100 != 2:
		return c.refused(resp, body)
	}
	return outcome{body: body, status: resp.StatusCode}
}

// patience is how long the answer to a request may take to begin, and then be silent:
// the time to send the body, the longest wait of a fetch, and silentFor.
func (r request) patience() time.Duration {
	return time.Duration(len(r.body)/slowest)*time.Second + nodeservice.MaxWait + silentFor
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.url(r.path, r.query), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return req, c.authorize(req.Header, r.method, req.URL.String(), r.token)
}

func (c *Client) url(path string, query url.Values) string {
	u := c.base
	u.Path += path
	u.RawQuery = query.Encode()
	return u.String()
}

// problemOf reads application/problem+json (RFC 9457). Anything else that comes with the
// status of an error is not from a gateway, but perhaps from a proxy.
func problemOf(resp *http.Response, body []byte) *nodeservice.Error {
	var p struct {
		Code         nodeservice.Code `json:"code"`
		Detail       string           `json:"detail"`
		Head         *nodeservice.Seq `json:"head"`
		RetryAfterMS millis           `json:"retry_after_ms"`
		MinVersion   uint16           `json:"min_version"`
		MaxVersion   uint16           `json:"max_version"`
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(body, &p) == nil && p.Code != "" {
		e := said(p.Code, p.Detail)
		e.Head, e.MinVersion, e.MaxVersion = p.Head, p.MinVersion, p.MaxVersion
		e.RetryAfter, e.Nonce = p.RetryAfterMS.duration(), nonceWanted(resp)
		return e
	}
	code := nodeservice.CodeInternal
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 502 {
		code = nodeservice.CodeUnavailable
	}
	return nodeservice.Errorf(code, "the server answered with status %d and without application/problem+json: is it a gateway?", resp.StatusCode)
}

func parseKey(text string) (nodeservice.Identity, error) { return identity.ParseKeyText(text) }

func invalidf(format string, args ...any) error {
	return nodeservice.Errorf(nodeservice.CodeInvalidArgument, format, args...)
}
