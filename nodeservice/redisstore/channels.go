package redisstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

// A channel is made in steps, since it lies in several places:
//
//  1. the account reserves one of the channels that it may create;
//  2. the pair's record is set, if there is none: it names the channel;
//  3. the account counts the channel, or gives the reservation back;
//  4. the channel's line is made, from the pair's record;
//  5. the channel takes its place in the creator's list;
//  6. the line learns that place.
//
// From 2 on there is a channel, and one only. A crash behind any step leaves it to
// the next creation by either member to take the missing ones, each of which does
// nothing where it was taken; 3 is taken by an audit of the account, when the
// reservation ran out. A creator who was held up until then does not take 2 any more,
// since nothing would count the channel. Nobody knows the channel's id before 4 but
// by the pair, for which it is asked in creations.
//
// The first message takes 5 and 6 for both members. A crash after it was stored
// leaves that to the next message, or to the same one sent again; its sender was
// given no answer.

var (
	pairScript           = newScript(changes, "pair")
	giveUpScript         = newScript(changes, "giveup")
	openScript           = newScript(changes, "open")
	listScript           = newScript(changes, "list")
	reserveChannelScript = newScript(changes, "reservechannel")
	settleChannelScript  = newScript(changes, "settlechannel")
	seenScript           = newScript(changes, "seen")
)

// CreateChannel implements nodeservice.Store.
func (s *Store) CreateChannel(ctx context.Context, req ns.CreateChannel) (ns.CreatedChannel, error) {
	if err := s.enter(); err != nil {
		return ns.CreatedChannel{}, err
	}
	defer s.leave()
	channel, created, found, err := s.pairUp(ctx, req)
	if err != nil {
		return ns.CreatedChannel{}, err
	}
	if !found {
		return ns.CreatedChannel{OverQuota: true}, nil
	}
	return s.complete(ctx, channel, req, created)
}

// pairUp finds the channel of a pair, or makes the pair's record: steps 1 to 3.
// Found is false if the account may create no more.
func (s *Store) pairUp(ctx context.Context, req ns.CreateChannel) (c ns.Channel, created, found bool, err error) {
	pair := ns.Pair(req.Creator, req.Peer)
	if c, found, err = s.byPair(ctx, pair); err != nil || found {
		return c, false, found, err
	}
	over, err := s.reserveChannel(ctx, req, pairName(pair))
	if err != nil {
		return c, false, false, err
	}
	if over { // unless the peer has created it meanwhile
		c, found, err = s.byPair(ctx, pair)
		return c, false, found, err
	}
	after, cancel := afterwards(ctx)
	defer cancel()
	c, err = s.claimPair(after, ns.Channel{ID: req.ID, Members: pair, CreatedAt: req.Now})
	if err != nil {
		return c, false, false, err
	}
	created = c.ID == req.ID
	return c, created, true, s.settleChannel(after, req.Account, string(req.ID[:]), created)
}

func (s *Store) reserveChannel(ctx context.Context, req ns.CreateChannel, pair string) (over bool, err error) {
	return s.takeRoom(ctx, func() (int64, error) {
		answer, err := s.run(ctx, reserveChannelScript, []string{s.accountKey(req.Account)},
			req.ID[:], int64(req.Now)+reservationLife, req.MaxChannels, pair)
		return only(answer, err)
	}, func() error { return s.audit(ctx, req.Account, req.Now) })
}

func (s *Store) settleChannel(ctx context.Context, a ns.Account, id string, created bool) error {
	_, err := only(s.run(ctx, settleChannelScript, []string{s.accountKey(a)}, id, created))
	return err
}

// auditChannel settles a reservation that ran out: the pair's record says whether
// the channel was created under it.
func (s *Store) auditChannel(ctx context.Context, a ns.Account, id, value string, now ns.UnixMilli) error {
	if len(value) < 8 {
		return internal(fmt.Errorf("%w: a reservation of a channel", errCorrupt))
	}
	if ns.UnixMilli(double(value)) > now {
		return nil
	}
	made, err := only(s.run(ctx, giveUpScript, s.creationKeys(value[8:], id), id))
	if err != nil {
		return err
	}
	return s.settleChannel(ctx, a, id, made == 1)
}

// creationKeys are the pair's record, and the mark of a creation that was given up.
func (s *Store) creationKeys(pair, id string) []string {
	return []string{s.pairKey(pair), s.baseOf(pair) + string(keyGivenUp) + pair + id}
}

func (s *Store) pairKey(name string) string { return s.baseOf(name) + string(keyPair) + name }

// claimPair sets the pair's record, and returns the channel that it names.
func (s *Store) claimPair(ctx context.Context, c ns.Channel) (ns.Channel, error) {
	record := append(c.ID[:], make([]byte, 8)...)
	binary.BigEndian.PutUint64(record[len(c.ID):], math.Float64bits(float64(c.CreatedAt)))
	answer, err := s.run(ctx, pairScript, s.creationKeys(pairName(c.Members), string(c.ID[:])), record)
	if err != nil {
		return ns.Channel{}, err
	}
	is := answer.text()
	if err := answer.done(); err != nil {
		return ns.Channel{}, asStoreError(err)
	}
	return decodePair(c.Members, is)
}

func decodePair(members [2]ns.Identity, record string) (ns.Channel, error) {
	c := ns.Channel{Members: members}
	if len(record) != len(c.ID)+8 {
		return ns.Channel{}, internal(fmt.Errorf("%w: a pair", errCorrupt))
	}
	copy(c.ID[:], record)
	c.CreatedAt = ns.UnixMilli(double(record[len(c.ID):]))
	return c, nil
}

func (s *Store) byPair(ctx context.Context, members [2]ns.Identity) (c ns.Channel, found bool, err error) {
	record, err := s.client.Get(ctx, s.pairKey(pairName(members))).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return ns.Channel{}, false, nil
	case err != nil:
		return ns.Channel{}, false, asStoreError(err)
	}
	c, err = decodePair(members, record)
	return c, err == nil, err
}

// complete takes the steps from 4 on that are missing.
func (s *Store) complete(ctx context.Context, c ns.Channel, req ns.CreateChannel, created bool) (ns.CreatedChannel, error) {
	done := ns.CreatedChannel{Created: created}
	after, cancel := afterwards(ctx)
	defer cancel()
	state, found, err := s.state(after, c.ID, req.Creator, req.Now)
	if err == nil && !found {
		err = s.openLine(after, c)
	}
	if err == nil && (!found || state.Ordinal == 0) {
		done.Announced, err = s.show(after, c.ID, req.Creator)
		if err == nil {
			state, found, err = s.state(after, c.ID, req.Creator, req.Now)
		}
	}
	if err == nil && !found {
		err = internal(fmt.Errorf("%w: a pair names a channel that others have", errCorrupt))
	}
	if err != nil {
		return ns.CreatedChannel{}, err
	}
	done.State = state
	return done, nil
}

func (s *Store) openLine(ctx context.Context, c ns.Channel) error {
	_, err := only(s.run(ctx, openScript, []string{s.lineKey(c.ID)},
		memberName(c.Members[0]), memberName(c.Members[1]), int64(c.CreatedAt)))
	return err
}

func (s *Store) lineKey(id ns.ChannelID) string {
	line := lineOf(ns.Queue{Channel: id})
	return s.lineBase(line) + string(keyLine) + string(line[:])
}

// show gives a channel its place in a member's list, if it has none.
func (s *Store) show(ctx context.Context, id ns.ChannelID, viewer ns.Identity) (announced bool, err error) {
	answer, err := s.run(ctx, listScript, []string{s.viewKey(viewer)}, id[:])
	if err != nil {
		return false, err
	}
	ordinal, given := answer.count(), answer.bool()
	if err := answer.done(); err != nil {
		return false, asStoreError(err)
	}
	_, err = only(s.run(ctx, seenScript, []string{s.lineKey(id)}, memberName(viewer), ordinal))
	return given, err
}

// showTo shows a channel that holds a message to the members who do not have it in
// their lists, and says whether the recipient was one.
func (s *Store) showTo(ctx context.Context, q ns.Queue, to unseen) (announced bool, err error) {
	if to&unseenByRecipient != 0 {
		if announced, err = s.show(ctx, q.Channel, q.Recipient); err != nil {
			return false, err
		}
	}
	if to&unseenBySender != 0 {
		c, found, err := s.channel(ctx, q.Channel)
		if err != nil || !found {
			return false, err
		}
		sender, _ := c.Peer(q.Recipient)
		if _, err := s.show(ctx, q.Channel, sender); err != nil {
			return false, err
		}
	}
	return announced, nil
}

func (s *Store) viewKey(viewer ns.Identity) string {
	name := identityName(viewer)
	return s.baseOf(name) + string(keyView) + name
}
