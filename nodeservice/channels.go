package nodeservice

import (
	"context"
	"encoding/binary"

	"github.com/google/uuid"
)

// CreateChannel implements Session.
func (s *session) CreateChannel(ctx context.Context, peer Identity) (view ChannelView, created bool, err error) {
	err = s.do(ctx, opCreateChannel, ChannelID{}, func(c *call) error {
		if peer.IsZero() || peer == s.id {
			return Errorf(CodeInvalidArgument, "peer must be the identity of somebody else")
		}
		done, err := s.create(ctx, peer, c)
		if err != nil {
			return err
		}
		view, created = s.view(done.State), done.Created
		c.record.peer, c.record.channel, c.record.created = peer, view.ID, created
		return nil
	})
	return view, created, err
}

// create charges for channels really created: it takes first, so that a race
// cannot exceed the limit, and gives back when the channel was there.
func (s *session) create(ctx context.Context, peer Identity, c *call) (CreatedChannel, error) {
	rates := &s.node.cfg.Rates
	budget := []Charge{
		{Bucket: "create/" + s.id.Raw(), Cost: 1, Rate: rates.CreatesIdentity},
		{Bucket: "create from/" + s.origin.bucket(), Cost: 1, Rate: rates.CreatesAddress},
	}
	// Who has the channel already gets it, however often new ones were made.
	if limited := s.node.charge(ctx, s.origin, c.now, budget); limited != nil {
		_, found, err := s.node.cfg.Store.ChannelByPair(ctx, Pair(s.id, peer))
		if err != nil {
			return CreatedChannel{}, err
		}
		if !found {
			s.node.giveBack(ctx, c.now, c.paid)
			return CreatedChannel{}, limited
		}
		budget = nil
	}
	done, err := s.node.cfg.Store.CreateChannel(ctx, CreateChannel{
		ID:          ChannelID(uuid.New()),
		Creator:     s.id,
		Peer:        peer,
		Account:     s.node.account(s.id),
		Now:         c.now,
		MaxChannels: s.node.cfg.Quotas.Channels,
	})
	if err != nil || !done.Created {
		s.node.giveBack(ctx, c.now, budget)
	}
	if err == nil && done.OverQuota {
		err = Errorf(CodeQuotaExceeded, "you have created %d channels, as many as one identity may", s.node.cfg.Quotas.Channels)
	}
	if done.Announced {
		s.node.cfg.Bus.Hint(Hint{Owner: s.id, Kind: HintChannels})
	}
	return done, err
}

// Channels implements Session.
func (s *session) Channels(ctx context.Context, req ChannelsRequest) (list ChannelList, err error) {
	err = s.do(ctx, opListChannels, ChannelID{}, func(c *call) error {
		if req.Limit < 0 || req.Limit > MaxChannelsPage {
			return Errorf(CodeInvalidArgument, "limit must be 1 to %d", MaxChannelsPage)
		}
		if !req.Peer.IsZero() {
			list, err = s.channelWith(ctx, req.Peer, c)
			return err
		}
		list, err = s.channelPage(ctx, req, c)
		return err
	})
	return list, err
}

func (s *session) channelPage(ctx context.Context, req ChannelsRequest, c *call) (list ChannelList, err error) {
	after, err := parseCursor(req.Cursor)
	if err != nil {
		return list, err
	}
	orDefault(&req.Limit, 100)
	states, err := s.node.cfg.Store.Channels(ctx, s.id, after, req.Limit+1, c.now)
	if err != nil {
		return list, err
	}
	if len(states) > req.Limit {
		states = states[:req.Limit]
		list.Next = binary.BigEndian.AppendUint64(nil, states[req.Limit-1].Ordinal)
	}
	for _, state := range states {
		list.Channels = append(list.Channels, s.view(state))
	}
	return list, nil
}

// parseCursor reads the ordinal of the last channel of the page before.
func parseCursor(cursor []byte) (uint64, error) {
	switch len(cursor) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64(cursor), nil
	}
	return 0, Errorf(CodeInvalidArgument, "cursor is not one that this node gave")
}

// channelWith is the discovery from a peer to the channel: no page at all while
// the caller cannot see it yet.
func (s *session) channelWith(ctx context.Context, peer Identity, c *call) (list ChannelList, err error) {
	channel, found, err := s.node.cfg.Store.ChannelByPair(ctx, Pair(s.id, peer))
	if err != nil || !found {
		return list, err
	}
	state, found, err := s.node.cfg.Store.ChannelState(ctx, channel.ID, s.id, c.now)
	if err == nil && found && state.Ordinal > 0 {
		list.Channels = []ChannelView{s.view(state)}
	}
	return list, err
}

// Channel implements Session.
func (s *session) Channel(ctx context.Context, id ChannelID) (view ChannelView, err error) {
	err = s.do(ctx, opGetChannel, id, func(c *call) error {
		state, _, err := s.node.cfg.Store.ChannelState(ctx, id, s.id, c.now)
		view = s.view(state)
		return err
	})
	return view, err
}

// view is a channel as the session's identity sees it.
func (s *session) view(state ChannelState) ChannelView {
	peer, _ := state.Channel.Peer(s.id)
	return ChannelView{
		ID:        state.Channel.ID,
		Peer:      peer,
		CreatedAt: state.Channel.CreatedAt,
		Head:      state.Head,
		Acked:     state.Acked,
		Unread:    state.Unread,
	}
}
