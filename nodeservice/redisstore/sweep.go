package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

const (
	// maxSweepStep bounds the entries that one step of the sweep looks at.
	maxSweepStep = 1000

	// sweepRound is how many buckets are asked in one go.
	sweepRound = 512
)

var (
	sweepQueueScript       = newScript(makesRoom, "line", "sweepqueue")
	sweepIDsScript         = newScript(makesRoom, "line", "sweepids")
	sweepPackagesScript    = newScript(makesRoom, "packages", "sweeppackages")
	sweepClaimScript       = newScript(makesRoom, "sweepclaim")
	sweepMarksScript       = newScript(makesRoom, "sweepmarks")
	sweepRevocationsScript = newScript(makesRoom, "sweeprevocations")
)

// sweepStep is one step of a sweep: what is left to do and what was done.
type sweepStep struct {
	now    ns.UnixMilli
	budget int // entries that may still be looked at; 0 or less: there may be more
	swept  ns.Swept
}

// Sweep implements nodeservice.Store: one step. Nodes may sweep at once; each
// entry is swept once, and counted by whom it fell to.
func (s *Store) Sweep(ctx context.Context, now ns.UnixMilli) (ns.Swept, bool, error) {
	if err := s.enter(); err != nil {
		return ns.Swept{}, false, err
	}
	defer s.leave()
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	step := &sweepStep{now: now, budget: maxSweepStep}
	n, err := only(s.run(ctx, sweepRevocationsScript, s.revocationKeys(), int64(now), maxSweepStep))
	if err != nil {
		return ns.Swept{}, false, err
	}
	step.took(&step.swept.Others, n)
	for range buckets / sweepRound {
		if err := s.sweepBuckets(ctx, step); err != nil || step.budget <= 0 {
			return step.swept, err == nil, err
		}
	}
	return step.swept, false, nil
}

// took counts what was deleted.
func (t *sweepStep) took(sort *int, n int64) {
	*sort += int(n)
	t.budget -= int(n)
}

// sweepBuckets sweeps the next few buckets. It goes on to the next only when
// nothing is left in them, so that none waits for ever behind a busy one.
func (s *Store) sweepBuckets(ctx context.Context, step *sweepStep) error {
	first := s.next
	s.next = (s.next + sweepRound) % buckets
	due, err := s.due(ctx, first, step.now)
	if err != nil {
		return asStoreError(err)
	}
	for i, answer := range due {
		if err := s.sweepBucket(ctx, step, s.base((first+uint32(i))%buckets), answer.Val()); err != nil {
			return err
		}
	}
	return nil
}

// due asks the buckets from first on for entries that are due.
func (s *Store) due(ctx context.Context, first uint32, now ns.UnixMilli) (due []*redis.StringSliceCmd, err error) {
	pipe := s.client.Pipeline()
	until := &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(int64(now), 10), Count: maxSweepStep}
	for i := range uint32(sweepRound) {
		due = append(due, pipe.ZRangeByScore(ctx, s.base((first+i)%buckets)+string(keyIndex), until))
	}
	_, err = pipe.Exec(ctx)
	return due, err
}

// sweepBucket looks at the entries of a bucket that are due.
func (s *Store) sweepBucket(ctx context.Context, step *sweepStep, base string, entries []string) error {
	marks := []any{int64(step.now)}
	for _, entry := range entries {
		if entry[:min(1, len(entry))] == string(spentMark) || entry[:min(1, len(entry))] == string(spentPackage) {
			marks = append(marks, entry)
			continue
		}
		step.budget--
		if err := s.sweepEntry(ctx, step, base, entry); err != nil {
			return err
		}
	}
	if len(marks) == 1 {
		return nil
	}
	n, err := only(s.run(ctx, sweepMarksScript, []string{base + string(keyIndex)}, marks...))
	step.took(&step.swept.Others, n)
	return err
}

func (s *Store) sweepEntry(ctx context.Context, step *sweepStep, base, entry string) error {
	const lineAt, scopeAt = 1, 1 + len(lineName{})
	switch {
	case len(entry) <= 1:
	case entry[0] == sweepQueue && len(entry) == scopeAt+1:
		return s.sweepQueue(ctx, step, base, entry[lineAt:scopeAt], entry[scopeAt:])
	case (entry[0] == sweepIDs || entry[0] == sweepShare) && len(entry) > scopeAt:
		line := entry[lineAt:scopeAt]
		n, err := only(s.run(ctx, sweepIDsScript, []string{base + string(keyLine) + line}, base, line, entry[1:], entry, int64(step.now)))
		step.took(&step.swept.MessageIDs, n)
		return err
	case entry[0] == sweepPackages:
		owner := entry[1:]
		n, err := only(s.run(ctx, sweepPackagesScript, []string{base + string(keyPackages) + owner}, base, owner, int64(step.now)))
		step.took(&step.swept.KeyPackages, n)
		return err
	case entry[0] == sweepClaim:
		n, err := only(s.run(ctx, sweepClaimScript, []string{base + string(keyClaim) + entry[1:], base + string(keyIndex)}, entry, int64(step.now)))
		step.took(&step.swept.Others, n)
		return err
	}
	return internal(fmt.Errorf("%w: an entry %x of the sweep's index", errCorrupt, entry))
}

func (s *Store) sweepQueue(ctx context.Context, step *sweepStep, base, line, side string) error {
	answer, err := s.run(ctx, sweepQueueScript, []string{base + string(keyLine) + line}, base, line, side, int64(step.now))
	if err != nil {
		return err
	}
	removed, floor, recipient := answer.int(), answer.seq(), answer.member()
	if err := answer.done(); err != nil {
		return asStoreError(err)
	}
	step.swept.Messages += int(removed)
	if floor == 0 {
		return nil
	}
	q := ns.Queue{Recipient: recipient}
	if line[0] == channelLine {
		copy(q.Channel[:], line[1:])
	}
	step.swept.Floors = append(step.swept.Floors, q)
	return nil
}
