package noderpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// clientSession is a remote Session: a capability bound to an identity.
type clientSession struct {
	client    *Client
	node      schema.NodeService // released by Close
	identity  nodeservice.Identity
	expiresAt atomic.Int64

	mu      sync.Mutex
	closed  bool                       // guarded by mu
	streams map[*clientStream]struct{} // guarded by mu: open ones
}

var errNoSession = errors.New("the answer carries no session")

// newSession takes a reference of its own: the answer's dies with the answer.
func (c *Client) newSession(
	node schema.NodeService, id nodeservice.Identity, expiresAt nodeservice.UnixMilli,
) (*clientSession, error) {
	if !node.IsValid() {
		return nil, errNoSession
	}
	s := &clientSession{
		client: c, node: node.AddRef(), identity: id,
		streams: make(map[*clientStream]struct{}),
	}
	s.expiresAt.Store(int64(expiresAt))
	return s, nil
}

// Identity implements nodeservice.Session.
func (s *clientSession) Identity() nodeservice.Identity { return s.identity }

// ExpiresAt implements nodeservice.Session.
func (s *clientSession) ExpiresAt() nodeservice.UnixMilli {
	return nodeservice.UnixMilli(s.expiresAt.Load())
}

// Close implements nodeservice.Session.
func (s *clientSession) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	streams := make([]*clientStream, 0, len(s.streams))
	for stream := range s.streams {
		streams = append(streams, stream)
	}
	s.mu.Unlock()
	for _, stream := range streams {
		_ = stream.Close()
	}
	s.node.Release()
	return nil
}

// ask is invoke on the session's capability, unless the session is closed.
func ask[P any, R answered, F interface{ Struct() (R, error) }, T any](
	ctx context.Context, s *clientSession,
	method func(context.Context, func(P) error) (F, capnp.ReleaseFunc),
	place func(P) error, read func(R) (T, error),
) (out T, err error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return out, nodeservice.Errorf(nodeservice.CodeUnauthenticated, "the session is closed")
	}
	return invoke(ctx, s.client, method, place, read)
}

func readNothing[R any](R) (nothing, error) { return nothing{}, nil }

// Renew implements nodeservice.Session.
func (s *clientSession) Renew(ctx context.Context, token string) (nodeservice.UnixMilli, error) {
	expiresAt, err := ask(ctx, s, s.node.Renew,
		func(p schema.NodeService_renew_Params) error {
			p.SetVersion(schema.Version)
			return setToken(p.NewAuth, token)
		},
		func(res schema.NodeService_renew_Results) (int64, error) { return res.ExpiresAt(), nil })
	if err == nil {
		s.expiresAt.Store(expiresAt)
	}
	return nodeservice.UnixMilli(expiresAt), err
}

// Revoke implements nodeservice.Session.
func (s *clientSession) Revoke(ctx context.Context) error {
	_, err := ask(ctx, s, s.node.Revoke,
		func(p schema.NodeService_revoke_Params) error {
			p.SetVersion(schema.Version)
			return nil
		}, readNothing[schema.NodeService_revoke_Results])
	return err
}

// CreateChannel implements nodeservice.Session.
func (s *clientSession) CreateChannel(
	ctx context.Context, peer nodeservice.Identity,
) (nodeservice.ChannelView, bool, error) {
	c, err := ask(ctx, s, s.node.CreateChannel,
		func(p schema.NodeService_createChannel_Params) error {
			p.SetVersion(schema.Version)
			return p.SetPeerKey([]byte(peer.Raw()))
		},
		func(res schema.NodeService_createChannel_Results) (created, error) {
			channel, err := res.Channel()
			if err != nil {
				return created{}, err
			}
			view, err := decodeChannel(channel)
			return created{view, res.Created()}, err
		})
	return c.view, c.new, err
}

// Channels implements nodeservice.Session.
func (s *clientSession) Channels(
	ctx context.Context, req nodeservice.ChannelsRequest,
) (nodeservice.ChannelList, error) {
	return ask(ctx, s, s.node.ListChannels,
		func(p schema.NodeService_listChannels_Params) error {
			p.SetVersion(schema.Version)
			p.SetLimit(uint32(max(0, req.Limit)))
			if err := p.SetCursor(req.Cursor); err != nil {
				return err
			}
			return p.SetPeerKey([]byte(req.Peer.Raw()))
		},
		func(res schema.NodeService_listChannels_Results) (out nodeservice.ChannelList, err error) {
			channels, err := res.Channels()
			if err != nil {
				return out, err
			}
			out.Channels = make([]nodeservice.ChannelView, channels.Len())
			for i := range out.Channels {
				if out.Channels[i], err = decodeChannel(channels.At(i)); err != nil {
					return out, err
				}
			}
			out.Next, err = data(res.NextCursor())
			return out, err
		})
}

// Channel implements nodeservice.Session. The schema has no method for one
// channel: it is looked for in the list, a page of 256 at a time. Who knows the
// peer asks Channels for it instead, which is one call.
func (s *clientSession) Channel(
	ctx context.Context, id nodeservice.ChannelID,
) (nodeservice.ChannelView, error) {
	req := nodeservice.ChannelsRequest{Limit: nodeservice.MaxChannelsPage}
	for {
		list, err := s.Channels(ctx, req)
		if err != nil {
			return nodeservice.ChannelView{}, err
		}
		for _, view := range list.Channels {
			if view.ID == id {
				return view, nil
			}
		}
		if list.Next == nil {
			return nodeservice.ChannelView{}, nodeservice.Errorf(nodeservice.CodeChannelNotFound,
				"there is no such channel, or the caller is not in it")
		}
		req.Cursor = list.Next
	}
}
