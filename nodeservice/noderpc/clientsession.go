package noderpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// clientSession is a remote Session: a capability bound to an identity or, for a
// gateway's short ones, the bootstrap capability and the credentials that go with
// each call.
type clientSession struct {
	client    *Client
	identity  nodeservice.Identity
	expiresAt atomic.Int64
	worked    func() // called when a call has succeeded; nil: nobody asks; static after construction

	mu         sync.Mutex
	node       schema.NodeService         // guarded by mu; released by Close
	with       *credentials               // guarded by mu; nil: node is bound
	called     bool                       // guarded by mu: the credentials went with a call
	closed     bool                       // guarded by mu
	streams    map[*clientStream]struct{} // guarded by mu: open ones
	lastStream uint32                     // guarded by mu: the name of the latest
}

var (
	errNoSession     = errors.New("the answer carries no session")
	errSessionClosed = nodeservice.Errorf(nodeservice.CodeUnauthenticated, "the session is closed")
)

// newSession takes a reference of its own to node: the answer's is released with the answer.
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
	node, unpaid := s.node, s.with
	if s.called {
		unpaid = nil
	}
	s.mu.Unlock()
	if unpaid != nil {
		s.pay(unpaid)
	}
	for _, stream := range streams {
		_ = stream.Close()
	}
	node.Release()
	return nil
}

func readNothing[R any](R) (nothing, error) { return nothing{}, nil }

// Renew implements nodeservice.Session.
func (s *clientSession) Renew(ctx context.Context, token string) (nodeservice.UnixMilli, error) {
	if err := s.bind(ctx); err != nil {
		return 0, err
	}
	expiresAt, err := ask(ctx, s, schema.NodeService.Renew,
		func(p schema.NodeService_renew_Params) error {
			p.SetVersion(schema.Version)
			return s.client.setAuth(p.NewAuth, nodeservice.Origin{}, token)
		},
		func(res schema.NodeService_renew_Results) (int64, error) { return res.ExpiresAt(), nil })
	if err == nil {
		s.expiresAt.Store(expiresAt)
	}
	return nodeservice.UnixMilli(expiresAt), err
}

// Revoke implements nodeservice.Session.
func (s *clientSession) Revoke(ctx context.Context) error {
	_, err := ask(ctx, s, schema.NodeService.Revoke,
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
	c, err := ask(ctx, s, schema.NodeService.CreateChannel,
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
	return s.list(ctx, req, nodeservice.ChannelID{})
}

// list asks for a page of channels, or for one unless it is zero.
func (s *clientSession) list(
	ctx context.Context, req nodeservice.ChannelsRequest, one nodeservice.ChannelID,
) (nodeservice.ChannelList, error) {
	return ask(ctx, s, schema.NodeService.ListChannels,
		func(p schema.NodeService_listChannels_Params) error {
			p.SetVersion(schema.Version)
			p.SetLimit(uint32(max(0, req.Limit)))
			if err := setChannel(p, one, one.IsZero()); err != nil {
				return err
			}
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

// Channel implements nodeservice.Session. A node from before channelId was in
// listChannels does not see it, and lists all: there the channel is looked for, a
// page of 256 at a time.
func (s *clientSession) Channel(
	ctx context.Context, id nodeservice.ChannelID,
) (nodeservice.ChannelView, error) {
	req := nodeservice.ChannelsRequest{Limit: nodeservice.MaxChannelsPage}
	for {
		list, err := s.list(ctx, req, id)
		if err != nil {
			return nodeservice.ChannelView{}, err
		}
		for _, view := range list.Channels {
			if view.ID == id {
				return view, nil
			}
		}
		if list.Next == nil || id.IsZero() {
			return nodeservice.ChannelView{}, nodeservice.Errorf(nodeservice.CodeChannelNotFound,
				"there is no such channel, or you are not a member of it")
		}
		req.Cursor = list.Next
	}
}
