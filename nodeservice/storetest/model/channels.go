package model

import (
	"context"
	"slices"

	"github.com/quicproquo/node/nodeservice"
)

// CreateChannel implements nodeservice.Store.
func (s *Store) CreateChannel(_ context.Context, req nodeservice.CreateChannel) (nodeservice.CreatedChannel, error) {
	return do(s, "CreateChannel", func(d *data) (nodeservice.CreatedChannel, error) {
		return d.createChannel(req), nil
	})
}

func (d *data) createChannel(req nodeservice.CreateChannel) nodeservice.CreatedChannel {
	pair := nodeservice.Pair(req.Creator, req.Peer)
	id, found := d.pairs[pair]
	if !found {
		if req.MaxChannels > 0 && d.created[req.Account] >= req.MaxChannels {
			return nodeservice.CreatedChannel{OverQuota: true}
		}
		id = req.ID
		d.pairs[pair] = id
		d.channels[id] = nodeservice.Channel{ID: id, Members: pair, CreatedAt: req.Now}
		d.created[req.Account]++
	}
	announced := d.announce(id, req.Creator)
	return nodeservice.CreatedChannel{
		State:     d.state(d.channels[id], req.Creator, req.Now),
		Created:   !found,
		Announced: announced,
	}
}

// announce makes a channel visible to a member, once.
func (d *data) announce(id nodeservice.ChannelID, to nodeservice.Identity) bool {
	if slices.Contains(d.visible[to], id) {
		return false
	}
	d.visible[to] = append(d.visible[to], id)
	return true
}

// state is a channel as viewer sees it at now.
func (d *data) state(c nodeservice.Channel, viewer nodeservice.Identity, now nodeservice.UnixMilli) nodeservice.ChannelState {
	name := nodeservice.Queue{Channel: c.ID, Recipient: viewer}
	q := d.queues[name]
	return nodeservice.ChannelState{
		Channel: c,
		Head:    d.lines[lineOf(name)].head,
		Acked:   q.acked,
		Floor:   q.floorAt(now),
		Unread:  uint64(len(q.unexpired(now))),
		Ordinal: uint64(slices.Index(d.visible[viewer], c.ID) + 1),
	}
}

// Channel implements nodeservice.Store.
func (s *Store) Channel(_ context.Context, id nodeservice.ChannelID) (channel nodeservice.Channel, found bool, err error) {
	channel, err = do(s, "Channel", func(d *data) (nodeservice.Channel, error) {
		return d.channels[id], nil
	})
	return channel, !channel.ID.IsZero(), err
}

// ChannelByPair implements nodeservice.Store.
func (s *Store) ChannelByPair(_ context.Context, members [2]nodeservice.Identity) (channel nodeservice.Channel, found bool, err error) {
	channel, err = do(s, "ChannelByPair", func(d *data) (nodeservice.Channel, error) {
		return d.channels[d.pairs[nodeservice.Pair(members[0], members[1])]], nil
	})
	return channel, !channel.ID.IsZero(), err
}

// ChannelState implements nodeservice.Store.
func (s *Store) ChannelState(_ context.Context, id nodeservice.ChannelID, viewer nodeservice.Identity, now nodeservice.UnixMilli) (state nodeservice.ChannelState, found bool, err error) {
	state, err = do(s, "ChannelState", func(d *data) (nodeservice.ChannelState, error) {
		if _, member := d.channels[id].Peer(viewer); !member {
			return nodeservice.ChannelState{}, nil
		}
		return d.state(d.channels[id], viewer, now), nil
	})
	return state, !state.Channel.ID.IsZero(), err
}

// Channels implements nodeservice.Store.
func (s *Store) Channels(_ context.Context, viewer nodeservice.Identity, after uint64, limit int, now nodeservice.UnixMilli) ([]nodeservice.ChannelState, error) {
	return do(s, "Channels", func(d *data) ([]nodeservice.ChannelState, error) {
		var states []nodeservice.ChannelState
		for i, id := range d.visible[viewer] {
			if uint64(i) >= after && len(states) < limit {
				states = append(states, d.state(d.channels[id], viewer, now))
			}
		}
		return states, nil
	})
}
