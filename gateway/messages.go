package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// message is a nodeservice.Message of a channel in JSON.
type message struct {
	ChannelID  string          `json:"channel_id"`
	Seq        nodeservice.Seq `json:"seq"`
	ReceivedAt timestamp       `json:"received_at"`
	Payload    octets          `json:"payload"`
}

func messageOf(id nodeservice.ChannelID, m nodeservice.Message) message {
	return message{id.String(), m.Seq, timestamp(m.ReceivedAt), m.Payload}
}

// gap is a nodeservice.Gap in JSON.
type gap struct {
	From   nodeservice.Seq `json:"from"`
	To     nodeservice.Seq `json:"to"`
	Reason string          `json:"reason"`
}

func gapOf(g nodeservice.Gap) gap { return gap{g.From, g.To, g.Reason.String()} }

func (g *Gateway) enqueue(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	req, err := g.enqueueRequest(w, r)
	if err != nil {
		return err
	}
	receipt, err := s.Enqueue(r.Context(), req)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if receipt.Duplicate {
		status = http.StatusOK
	}
	return writeJSON(w, status, struct {
		Seq        nodeservice.Seq `json:"seq"`
		ReceivedAt timestamp       `json:"received_at"`
		Duplicate  bool            `json:"duplicate"`
	}{receipt.Seq, timestamp(receipt.ReceivedAt), receipt.Duplicate})
}

func (g *Gateway) enqueueRequest(w http.ResponseWriter, r *http.Request) (req nodeservice.EnqueueRequest, err error) {
	if _, err = query(r); err != nil {
		return req, err
	}
	if req.Channel, err = pathChannel(r); err != nil {
		return req, err
	}
	if req.MessageID, err = idempotencyKey(r); err != nil {
		return req, err
	}
	if req.IfHead, err = ifMatch(r); err != nil {
		return req, err
	}
	req.Payload, err = g.payload(w, r)
	return req, err
}

// payload is the body itself, or the member of a JSON body.
func (g *Gateway) payload(w http.ResponseWriter, r *http.Request) (payload []byte, err error) {
	switch mediaType(r) {
	case "message/mls", "application/octet-stream":
		return g.readBody(w, r, g.maxPayload)
	case "application/json":
		encoded := strictBase64.EncodedLen(g.maxPayload) + 1<<10
		err = g.readJSON(w, r, encoded, must("payload", bytesField(&payload)))
		return payload, err
	}
	return nil, unsupportedMedia(w, "message/mls, application/octet-stream or application/json")
}

// idempotencyKey is the message's id: 1 to 64 visible ASCII characters, in
// quotes or not (draft-ietf-httpapi-idempotency-key-header has them quoted).
func idempotencyKey(r *http.Request) ([]byte, error) {
	all := r.Header.Values("Idempotency-Key")
	if len(all) == 0 {
		return nil, nil
	}
	key := all[0]
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if len(all) > 1 || len(key) < 1 || len(key) > nodeservice.MaxMessageID {
		return nil, invalidf("Idempotency-Key: one value of 1 to %d characters is expected", nodeservice.MaxMessageID)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return nil, invalidf("Idempotency-Key: visible ASCII characters are expected")
		}
	}
	return []byte(key), nil
}

// ifMatch is the head that the channel must still have: exactly one strong tag.
func ifMatch(r *http.Request) (*nodeservice.Seq, error) {
	all := r.Header.Values("If-Match")
	if len(all) == 0 {
		return nil, nil
	}
	tag := all[0]
	if n := len(tag); len(all) == 1 && n > 2 && tag[0] == '"' && tag[n-1] == '"' {
		if head, err := parseSeq(tag[1 : n-1]); err == nil {
			return &head, nil
		}
	}
	return nil, invalidf(`If-Match: exactly one strong tag that holds a head is expected, such as "7"`)
}

func (g *Gateway) fetch(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	req, err := fetchRequest(r)
	if err != nil {
		return err
	}
	// A fetch that waits ends when Shutdown begins.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.closing, cancel)()
	page, err := s.Fetch(ctx, req)
	if err != nil {
		return err
	}
	return writePage(w, req.Channel, page)
}

func fetchRequest(r *http.Request) (req nodeservice.FetchRequest, err error) {
	values, err := query(r, "after", "limit", "wait")
	if err != nil {
		return req, err
	}
	if req.Channel, err = pathChannel(r); err != nil {
		return req, err
	}
	if req.After, err = seqParam(values, "after"); err != nil {
		return req, err
	}
	if req.Limit, err = limitParam(values, nodeservice.MaxFetch); err != nil {
		return req, err
	}
	if values.Has("wait") {
		req.Wait, err = time.ParseDuration(values.Get("wait"))
		if err != nil || req.Wait < 0 || req.Wait > nodeservice.MaxWait {
			return req, invalidf("wait: a time from 0s to %s is expected, such as 30s or 1500ms", nodeservice.MaxWait)
		}
	}
	return req, nil
}

func (g *Gateway) ack(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	values, err := query(r, "through")
	if err != nil {
		return err
	}
	if !values.Has("through") {
		return invalidf("the query parameter %q is missing", "through")
	}
	id, err := pathChannel(r)
	if err != nil {
		return err
	}
	through, err := seqParam(values, "through")
	if err != nil {
		return err
	}
	if err := s.Ack(r.Context(), nodeservice.AckRequest{Channel: id, Through: through}); err != nil {
		return err
	}
	writeEmpty(w, http.StatusNoContent)
	return nil
}
