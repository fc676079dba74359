package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

var stateScript = newScript(onlyReads, "line", "state")

// Channel implements nodeservice.Store.
func (s *Store) Channel(ctx context.Context, id ns.ChannelID) (c ns.Channel, found bool, err error) {
	if err := s.enter(); err != nil {
		return ns.Channel{}, false, err
	}
	defer s.leave()
	return s.channel(ctx, id)
}

func (s *Store) channel(ctx context.Context, id ns.ChannelID) (c ns.Channel, found bool, err error) {
	fields, err := s.client.HMGet(ctx, s.lineKey(id), "m0", "m1", "c").Result()
	if err != nil {
		return ns.Channel{}, false, asStoreError(err)
	}
	if len(fields) == 3 && fields[0] == nil {
		return ns.Channel{}, false, nil
	}
	c, err = decodeChannel(id, &reply{items: fields})
	return c, err == nil, err
}

func decodeChannel(id ns.ChannelID, r *reply) (ns.Channel, error) {
	c := ns.Channel{ID: id, Members: [2]ns.Identity{r.member(), r.member()}, CreatedAt: r.decimalTime()}
	if err := r.done(); err != nil {
		return ns.Channel{}, asStoreError(err)
	}
	return c, nil
}

// ChannelByPair implements nodeservice.Store.
func (s *Store) ChannelByPair(ctx context.Context, members [2]ns.Identity) (c ns.Channel, found bool, err error) {
	if err := s.enter(); err != nil {
		return ns.Channel{}, false, err
	}
	defer s.leave()
	return s.byPair(ctx, ns.Pair(members[0], members[1]))
}

// ChannelState implements nodeservice.Store.
func (s *Store) ChannelState(ctx context.Context, id ns.ChannelID, viewer ns.Identity, now ns.UnixMilli) (state ns.ChannelState, found bool, err error) {
	if err := s.enter(); err != nil {
		return ns.ChannelState{}, false, err
	}
	defer s.leave()
	return s.state(ctx, id, viewer, now)
}

func (s *Store) state(ctx context.Context, id ns.ChannelID, viewer ns.Identity, now ns.UnixMilli) (ns.ChannelState, bool, error) {
	if id.IsZero() {
		return ns.ChannelState{}, false, nil
	}
	q := s.askState(id, viewer, now)
	answer, err := s.run(ctx, stateScript, []string{q.key}, q.args...)
	if err != nil {
		return ns.ChannelState{}, false, err
	}
	return decodeState(id, answer)
}

func (s *Store) askState(id ns.ChannelID, viewer ns.Identity, now ns.UnixMilli) question {
	line := lineOf(ns.Queue{Channel: id})
	return question{s.lineKey(id), []any{s.lineBase(line), line[:], memberName(viewer), int64(now)}}
}

func decodeState(id ns.ChannelID, r *reply) (state ns.ChannelState, found bool, err error) {
	if !r.bad && len(r.items) == 0 {
		return ns.ChannelState{}, false, nil
	}
	state.Channel = ns.Channel{ID: id, Members: [2]ns.Identity{r.member(), r.member()}, CreatedAt: r.time()}
	state.Head, state.Acked, state.Floor = r.seq(), r.seq(), r.seq()
	state.Unread, state.Ordinal = r.count(), r.count()
	if err := r.done(); err != nil {
		return ns.ChannelState{}, false, asStoreError(err)
	}
	return state, true, nil
}

// Channels implements nodeservice.Store: the list is one moment, and each state
// is one.
func (s *Store) Channels(ctx context.Context, viewer ns.Identity, after uint64, limit int, now ns.UnixMilli) ([]ns.ChannelState, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if limit <= 0 || after >= uint64(ns.MaxSeq) {
		return nil, nil
	}
	list, err := s.client.ZRangeByScoreWithScores(ctx, s.viewKey(viewer), &redis.ZRangeBy{
		Min: fmt.Sprintf("(%d", after), Max: "+inf", Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, asStoreError(err)
	}
	questions := make([]question, len(list))
	for i, entry := range list {
		name, ok := entry.Member.(string)
		if !ok || len(name) != len(ns.ChannelID{}) {
			return nil, internal(fmt.Errorf("%w: a list of channels", errCorrupt))
		}
		questions[i] = s.askState(ns.ChannelID([]byte(name)), viewer, now)
	}
	answers, err := s.runAll(ctx, stateScript, questions)
	if err != nil {
		return nil, err
	}
	states := make([]ns.ChannelState, len(list))
	for i, entry := range list {
		id := ns.ChannelID([]byte(entry.Member.(string)))
		state, found, err := decodeState(id, answers[i])
		if err == nil && !found {
			err = internal(fmt.Errorf("%w: a list names a channel that does not exist", errCorrupt))
		}
		if err != nil {
			return nil, err
		}
		state.Ordinal = uint64(entry.Score) // which the line may not have learned yet
		states[i] = state
	}
	return states, nil
}
