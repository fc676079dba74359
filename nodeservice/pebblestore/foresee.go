package pebblestore

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// foresee says what an append comes to that will not be stored, so that its large
// payload need not be written to disk first: what is refused may be sent again and
// again. Outcome 0 says that it may be stored; the step itself decides. The answer
// holds for a durable moment of the call, as any that changes nothing may.
func (s *Store) foresee(ctx context.Context, req ns.Append) (ns.Appended, error) {
	refused, err := s.look(ctx, req)
	if err != nil || refused.Outcome != ns.AppendOverQuota {
		return refused, err
	}
	if err := s.sweepAll(ctx, req.Now); err != nil { // what has expired anywhere must not count
		return ns.Appended{}, err
	}
	return s.look(ctx, req)
}

func (s *Store) look(ctx context.Context, req ns.Append) (refused ns.Appended, err error) {
	err = s.readView(ctx, func(r pebble.Reader) error {
		ln, at, found, err := loadLine(r, req.Queue)
		if err != nil || !found {
			return err // of a queue that is not there the step tells
		}
		id, err := readID(r, scopeKey(ln, at, req.Account), req.MessageID)
		if err != nil {
			return err
		}
		if refused = appendKnown(req, ln, id); refused.Outcome != 0 {
			return nil
		}
		outcome, err := lookAtQuota(r, req, ln, at)
		if err == nil && outcome != ns.AppendStored {
			refused = ns.Appended{Outcome: outcome, Head: ln.head}
		}
		return err
	})
	return refused, err
}

// lookAtQuota counts a queue without what has expired in it.
func lookAtQuota(r pebble.Reader, req ns.Append, ln *line, at int) (ns.AppendOutcome, error) {
	expired, some, err := lastExpired(r, ln, at, req.Now)
	if err != nil {
		return 0, err
	}
	if some {
		ln.sides[at].removed = expired.through
	}
	a, err := readAccount(r, req.Account)
	if err != nil {
		return 0, err
	}
	sh := new(share)
	if ln.key.legacy() {
		if sh, err = readShare(r, shareKey{ln.key, req.Account}); err != nil {
			return 0, err
		}
	}
	return fits(req, ln.sides[at].held(), a, sh), nil
}
