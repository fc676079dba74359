package main

import (
	"context"
	"fmt"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// channelsCommand lists the channels.
type channelsCommand struct{}

// Run prints a line for each channel.
func (*channelsCommand) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	channels, err := c.channels(ctx)
	if err != nil {
		return err
	}
	for _, v := range channels {
		err := a.out().print(
			object{"channel_id": v.ID.String(), "peer": v.Peer.String(), "created_at": timeText(v.CreatedAt),
				"head": v.Head, "acked": v.Acked, "unread": v.Unread},
			"%s  peer %s  head %d  acked %d  unread %d", v.ID, v.Peer, v.Head, v.Acked, v.Unread)
		if err != nil {
			return err
		}
	}
	return nil
}

// channels lists all of the caller's channels, and remembers them by peer.
func (c *client) channels(ctx context.Context) (all []nodeservice.ChannelView, err error) {
	var next []byte
	for {
		var page nodeservice.ChannelList
		err := c.do(ctx, func(s nodeservice.Session) (err error) {
			page, err = s.Channels(ctx, nodeservice.ChannelsRequest{Cursor: next, Limit: nodeservice.MaxChannelsPage})
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Channels...)
		if next = page.Next; next == nil {
			return all, c.remember(all)
		}
	}
}

// remember caches channels by their peers.
func (c *client) remember(channels []nodeservice.ChannelView) error {
	return c.file.update(func(s *state) error {
		for _, v := range channels {
			if s.Channels == nil {
				s.Channels = make(map[string]string)
			}
			s.Channels[v.Peer.String()] = v.ID.String()
		}
		return nil
	})
}

// correspondent is a channel, named by its id or by the peer in it. Neither can
// be taken for the other: a UUID has 36 characters, an identity 43 or 87.
type correspondent struct {
	channel nodeservice.ChannelID
	peer    nodeservice.Identity // zero: named by channel
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *correspondent) UnmarshalText(argument []byte) (err error) {
	text := unmarked(argument)
	if t.channel, err = nodeservice.ParseChannelID(text); err == nil {
		return nil
	}
	if t.peer, err = identity.ParseKeyText(text); err != nil {
		return fmt.Errorf("%q is neither a channel id nor an identity", text)
	}
	return nil
}

func (t correspondent) isZero() bool { return t == correspondent{} }

// known finds the channel without creating one.
func (c *client) known(ctx context.Context, t correspondent) (nodeservice.ChannelView, error) {
	var view nodeservice.ChannelView
	err := c.do(ctx, func(s nodeservice.Session) (err error) {
		if t.peer.IsZero() {
			view, err = s.Channel(ctx, t.channel)
			return err
		}
		list, err := s.Channels(ctx, nodeservice.ChannelsRequest{Peer: t.peer})
		if err == nil && len(list.Channels) == 0 {
			err = nodeservice.Errorf(nodeservice.CodeChannelNotFound, "there is no channel with this peer yet; send creates it")
		}
		if err == nil {
			view = list.Channels[0]
		}
		return err
	})
	if err != nil {
		return view, err
	}
	return view, c.remember([]nodeservice.ChannelView{view})
}

// created finds the channel with a peer, or creates it; cached says that the
// answer is from the state file, and may be out of date.
func (c *client) created(ctx context.Context, t correspondent) (id nodeservice.ChannelID, cached bool, err error) {
	if t.peer.IsZero() {
		return t.channel, false, nil
	}
	s, err := c.file.load()
	if err != nil {
		return id, false, err
	}
	if id, err := nodeservice.ParseChannelID(s.Channels[t.peer.String()]); err == nil {
		return id, true, nil
	}
	id, err = c.create(ctx, t.peer)
	return id, false, err
}

func (c *client) create(ctx context.Context, peer nodeservice.Identity) (nodeservice.ChannelID, error) {
	var view nodeservice.ChannelView
	err := c.do(ctx, func(s nodeservice.Session) (err error) {
		view, _, err = s.CreateChannel(ctx, peer)
		return err
	})
	if err != nil {
		return view.ID, err
	}
	return view.ID, c.remember([]nodeservice.ChannelView{view})
}
