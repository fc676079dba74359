package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// CreateChannel implements nodeservice.Store.
func (s *Store) CreateChannel(ctx context.Context, req ns.CreateChannel) (created ns.CreatedChannel, err error) {
	err = s.write(ctx, func(t *tx) (err error) {
		created, err = t.createChannel(req)
		return err
	})
	return created, err
}

func (t *tx) createChannel(req ns.CreateChannel) (ns.CreatedChannel, error) {
	pair := ns.Pair(req.Creator, req.Peer)
	id, found, err := readPair(t.batch, pair)
	if err != nil {
		return ns.CreatedChannel{}, err
	}
	if !found {
		a, err := t.account(req.Account)
		if err != nil {
			return ns.CreatedChannel{}, err
		}
		if req.MaxChannels > 0 && a.channels >= uint64(req.MaxChannels) {
			return ns.CreatedChannel{OverQuota: true}, nil
		}
		a.dirty = true
		a.channels++
		id = req.ID
		t.putChannel(ns.Channel{ID: id, Members: pair, CreatedAt: req.Now})
	}
	return t.show(id, req.Creator, req.Now, !found)
}

// show makes a channel visible to its creator, or to the peer who creates it too.
func (t *tx) show(id ns.ChannelID, viewer ns.Identity, now ns.UnixMilli, created bool) (ns.CreatedChannel, error) {
	ln, at, found, err := t.line(ns.Queue{Channel: id, Recipient: viewer})
	if err == nil && !found {
		err = fmt.Errorf("%w: a pair names a channel that does not exist", errCorrupt)
	}
	if err != nil {
		return ns.CreatedChannel{}, err
	}
	announced, err := t.announce(ln, at)
	if err != nil {
		return ns.CreatedChannel{}, err
	}
	state, err := channelState(t.batch, ln, at, now)
	return ns.CreatedChannel{State: state, Created: created, Announced: announced}, err
}

func (t *tx) putChannel(c ns.Channel) {
	var e encoder
	e.identity(c.Members[0])
	e.identity(c.Members[1])
	e.time(c.CreatedAt)
	t.set(channelKey(c.ID), e.b)
	t.set(pairKey(c.Members), c.ID[:])
}

// announce gives the channel its place in a member's list, if it has none.
func (t *tx) announce(ln *line, at int) (announced bool, err error) {
	if ln.sides[at].ordinal != 0 {
		return false, nil
	}
	viewer := identityField(ln.channel.Members[at])
	counter := key(keyViewer, viewer)
	var last uint64
	b, found, err := get(t.batch, counter)
	if err != nil {
		return false, err
	}
	if found {
		d := decoder{b: b}
		if last = d.uint(); d.done() != nil {
			return false, fmt.Errorf("viewer's counter: %w", errCorrupt)
		}
	}
	last++
	var e encoder
	e.uint(last)
	t.set(counter, e.b)
	t.set(key(keyView, viewer, uint64Field(last)), ln.channel.ID[:])
	ln.dirty = true
	ln.sides[at].ordinal = last
	return true, nil
}

// Channel implements nodeservice.Store.
func (s *Store) Channel(ctx context.Context, id ns.ChannelID) (c ns.Channel, found bool, err error) {
	err = s.read(ctx, func(r pebble.Reader) (err error) {
		c, found, err = readChannel(r, id)
		return err
	})
	return c, found, err
}

// ChannelByPair implements nodeservice.Store.
func (s *Store) ChannelByPair(ctx context.Context, members [2]ns.Identity) (c ns.Channel, found bool, err error) {
	err = s.read(ctx, func(r pebble.Reader) error {
		id, paired, err := readPair(r, ns.Pair(members[0], members[1]))
		if err != nil || !paired {
			return err
		}
		c, found, err = readChannel(r, id)
		return err
	})
	return c, found, err
}

// ChannelState implements nodeservice.Store.
func (s *Store) ChannelState(ctx context.Context, id ns.ChannelID, viewer ns.Identity, now ns.UnixMilli) (state ns.ChannelState, found bool, err error) {
	if id.IsZero() {
		return ns.ChannelState{}, false, nil
	}
	err = s.read(ctx, func(r pebble.Reader) error {
		ln, at, member, err := loadLine(r, ns.Queue{Channel: id, Recipient: viewer})
		if err != nil || !member {
			return err
		}
		found = true
		state, err = channelState(r, ln, at, now)
		return err
	})
	return state, found, err
}

// Channels implements nodeservice.Store.
func (s *Store) Channels(ctx context.Context, viewer ns.Identity, afterOrdinal uint64, limit int, now ns.UnixMilli) (states []ns.ChannelState, err error) {
	err = s.read(ctx, func(r pebble.Reader) error {
		ids, err := visibleChannels(r, viewer, afterOrdinal, limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			ln, at, found, err := loadLine(r, ns.Queue{Channel: id, Recipient: viewer})
			if err == nil && !found {
				err = fmt.Errorf("%w: a list names a channel that does not exist", errCorrupt)
			}
			if err != nil {
				return err
			}
			state, err := channelState(r, ln, at, now)
			if err != nil {
				return err
			}
			states = append(states, state)
		}
		return nil
	})
	return states, err
}

func visibleChannels(r pebble.Reader, viewer ns.Identity, afterOrdinal uint64, limit int) (ids []ns.ChannelID, err error) {
	list := key(keyView, identityField(viewer))
	if afterOrdinal == 1<<64-1 || limit <= 0 {
		return nil, nil
	}
	first := append(append([]byte(nil), list...), uint64Field(afterOrdinal+1)...)
	err = scan(r, first, after(list), func(_, value []byte) (bool, error) {
		if len(value) != len(ns.ChannelID{}) {
			return true, fmt.Errorf("viewer's list: %w", errCorrupt)
		}
		ids = append(ids, ns.ChannelID(value))
		return len(ids) == limit, nil
	})
	return ids, err
}

// channelState is a line as one member sees it at an instant: what has expired
// counts as such, swept or not.
func channelState(r pebble.Reader, ln *line, at int, now ns.UnixMilli) (ns.ChannelState, error) {
	s := ln.sides[at]
	expired, found, err := lastExpired(r, ln, at, now)
	if err != nil {
		return ns.ChannelState{}, err
	}
	if found {
		s.removed = expired.through
		s.expired(expired.seq)
	}
	floor, _ := s.shownFloor()
	return ns.ChannelState{
		Channel: ln.channel,
		Head:    ln.head,
		Acked:   s.acked,
		Floor:   floor,
		Unread:  s.held().count,
		Ordinal: s.ordinal,
	}, nil
}

func readPair(r pebble.Reader, pair [2]ns.Identity) (id ns.ChannelID, found bool, err error) {
	b, found, err := get(r, pairKey(pair))
	if err != nil || !found {
		return ns.ChannelID{}, false, err
	}
	if len(b) != len(id) {
		return ns.ChannelID{}, false, fmt.Errorf("pair: %w", errCorrupt)
	}
	return ns.ChannelID(b), true, nil
}

func readChannel(r pebble.Reader, id ns.ChannelID) (c ns.Channel, found bool, err error) {
	b, found, err := get(r, channelKey(id))
	if err != nil || !found {
		return ns.Channel{}, false, err
	}
	d := decoder{b: b}
	c = ns.Channel{ID: id, Members: [2]ns.Identity{d.identity(), d.identity()}, CreatedAt: d.time()}
	if err := d.done(); err != nil {
		return ns.Channel{}, false, fmt.Errorf("channel %s: %w", id, err)
	}
	return c, true, nil
}
