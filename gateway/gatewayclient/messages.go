package gatewayclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/quicproquo/node/nodeservice"
)

const noLegacy = "over HTTP there are only channels; the queues that version 0 had instead are served over Cap'n Proto"

// Enqueue implements nodeservice.Session. A message id must be visible ASCII here. With
// one, the request may be repeated, and then the receipt may say duplicate of a message
// that this very call stored. Without one it is sent once.
func (s *session) Enqueue(ctx context.Context, req nodeservice.EnqueueRequest) (nodeservice.Receipt, error) {
	if req.Legacy {
		return nodeservice.Receipt{}, invalidf("%s", noLegacy)
	}
	if !req.Recipient.IsZero() {
		view, err := s.Channel(ctx, req.Channel)
		if err == nil && view.Peer != req.Recipient {
			err = nodeservice.Errorf(nodeservice.CodePermissionDenied, "the recipient is not the other member of this channel")
		}
		if err != nil {
			return nodeservice.Receipt{}, err
		}
	}
	header, err := enqueueHeader(req)
	if err != nil {
		return nodeservice.Receipt{}, err
	}
	var answer struct {
		Seq        nodeservice.Seq `json:"seq"`
		ReceivedAt instant         `json:"received_at"`
		Duplicate  bool            `json:"duplicate"`
	}
	err = s.do(ctx, request{
		method: http.MethodPost, path: channelPath(req.Channel, "/messages"),
		header: header, kind: "application/octet-stream", body: req.Payload,
		repeat: repeat{safe: req.MessageID != nil},
	}, &answer)
	return nodeservice.Receipt{Seq: answer.Seq, ReceivedAt: answer.ReceivedAt.milli(), Duplicate: answer.Duplicate}, err
}

func enqueueHeader(req nodeservice.EnqueueRequest) (map[string]string, error) {
	header := map[string]string{}
	if req.IfHead != nil {
		header["If-Match"] = `"` + strconv.FormatUint(uint64(*req.IfHead), 10) + `"`
	}
	if req.MessageID == nil {
		return header, nil
	}
	if n := len(req.MessageID); n < 1 || n > nodeservice.MaxMessageID {
		return nil, invalidf("a message id has 1 to %d bytes", nodeservice.MaxMessageID)
	}
	for _, b := range req.MessageID {
		if b <= ' ' || b > '~' {
			return nil, invalidf("over HTTP a message id is visible ASCII")
		}
	}
	header["Idempotency-Key"] = `"` + string(req.MessageID) + `"` // the gateway drops these quotes
	return header, nil
}

// Fetch implements nodeservice.Session. With AckThrough it acknowledges first, as
// a request of its own: if that fails nothing was read, and if reading fails the
// acknowledgement stands.
func (s *session) Fetch(ctx context.Context, req nodeservice.FetchRequest) (nodeservice.Page, error) {
	if err := s.checkFetch(ctx, req); err != nil {
		return nodeservice.Page{}, err
	}
	if req.AckThrough > 0 {
		if err := s.Ack(ctx, nodeservice.AckRequest{Channel: req.Channel, Through: req.AckThrough}); err != nil {
			return nodeservice.Page{}, err
		}
	}
	var answer struct {
		Messages list[message]   `json:"messages"`
		Head     nodeservice.Seq `json:"head"`
		Acked    nodeservice.Seq `json:"acked"`
		Floor    nodeservice.Seq `json:"floor"`
		Gap      *gap            `json:"gap"`
		More     bool            `json:"more"`
	}
	if err := s.do(ctx, get(channelPath(req.Channel, "/messages"), fetchQuery(req)), &answer); err != nil {
		return nodeservice.Page{}, err
	}
	page := nodeservice.Page{Head: answer.Head, Acked: answer.Acked, Floor: answer.Floor, More: answer.More}
	messages, err := answer.Messages.items()
	if err != nil {
		return nodeservice.Page{}, err
	}
	for _, m := range messages {
		page.Messages = append(page.Messages, m.message())
	}
	if answer.Gap != nil {
		gap := answer.Gap.gap()
		page.Gap = &gap
	}
	return cutPage(page, req.MaxBytes), nil
}

// checkFetch refuses what cannot be said over HTTP. Membership of the channel is checked
// before the recipient, as at the other doors.
func (s *session) checkFetch(ctx context.Context, req nodeservice.FetchRequest) error {
	switch {
	case req.Legacy:
		return invalidf("%s", noLegacy)
	case req.Drain:
		return invalidf("over HTTP a fetch removes nothing; acknowledge what was handled")
	case req.MaxBytes < 0 || req.MaxBytes > nodeservice.MaxFetchBytes:
		return invalidf("maxBytes must be 1 to %d, or 0 for the default", nodeservice.MaxFetchBytes)
	case req.Recipient.IsZero() || req.Recipient == s.id:
		return nil
	}
	if _, err := s.Channel(ctx, req.Channel); err != nil {
		return err
	}
	return nodeservice.Errorf(nodeservice.CodePermissionDenied, "the recipient is not you")
}

func fetchQuery(req nodeservice.FetchRequest) url.Values {
	query := url.Values{}
	if req.After > 0 {
		query.Set("after", strconv.FormatUint(uint64(req.After), 10))
	}
	if req.Limit != 0 {
		query.Set("limit", strconv.Itoa(req.Limit))
	}
	if req.Wait != 0 {
		query.Set("wait", waitParam(req.Wait))
	}
	return query
}

// cutPage keeps to MaxBytes, for which HTTP has no parameter; one message always passes.
func cutPage(page nodeservice.Page, maxBytes int) nodeservice.Page {
	if maxBytes == 0 {
		return page
	}
	for i, m := range page.Messages {
		if maxBytes -= len(m.Payload); maxBytes < 0 && i > 0 {
			page.Messages, page.More = page.Messages[:i], true
			break
		}
	}
	return page
}

// Ack implements nodeservice.Session.
func (s *session) Ack(ctx context.Context, req nodeservice.AckRequest) error {
	if req.Legacy {
		return invalidf("%s", noLegacy)
	}
	query := url.Values{"through": {strconv.FormatUint(uint64(req.Through), 10)}}
	return s.do(ctx, request{
		method: http.MethodDelete, path: channelPath(req.Channel, "/messages"), query: query, repeat: repeat{safe: true},
	}, nil)
}
