package gateway

import (
	"net/http"

	"github.com/quicproquo/node/nodeservice"
)

// requestReader reads what is to be followed from a request.
type requestReader func() (nodeservice.FollowRequest, error)

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

// stream answers with events or with a WebSocket, as the request asks. One that asks for
// neither is treated as an upgrade that lacks something, and is told what.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request, request requestReader) error {
	if asksForEvents(r) {
		return g.streamEvents(w, r, request)
	}
	return g.upgrade(w, r, request)
}

// openStream does all that can fail because of the request.
func (g *Gateway) openStream(s *stream, r *http.Request, token string, request requestReader) error {
	if g.closing.Err() != nil {
		return shuttingDown()
	}
	session, err := g.authenticate(r, token)
	if err != nil {
		return err
	}
	s.session = session
	req, err := request()
	if err != nil {
		return err
	}
	s.source, err = session.Follow(s.ctx, req)
	return err
}

func shuttingDown() error {
	return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the node is shutting down", RetryAfter: comeBackAfter()}
}
