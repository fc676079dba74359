package crashtest

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
)

// sendLegacy sends to somebody's queue of before channels.
func (c *client) sendLegacy() Outcome {
	size := 16 + c.chance.IntN(300)
	if c.chance.IntN(16) == 0 {
		size = 66 << 10
	}
	return c.send(c.newLetter(&channel{peer: c.anyPeer(), legacy: true}, size))
}

// readLegacy reads the person's own such queue: every other person drains it, as
// clients of version 0 do, and the others acknowledge. Both on one queue would
// only say that a drained page may come again.
func (c *client) readLegacy() Outcome {
	own := c.person.own
	switch _, seen := own.known(); {
	case c.person.index%2 == 0 && c != c.life.legacyClient(c.person):
		return c.status() // one connection drains, of all nodes'
	case c.person.index%2 == 0:
		return c.drain(own, 1+c.chance.IntN(10))
	case c.chance.IntN(2) == 0 && seen > 0:
		return c.ack(own, seen)
	default:
		return c.fetch(own, 0, 1+c.chance.IntN(20), 0).Outcome
	}
}

// drain takes one page. One whose answer was lost is not asked for again: what
// was in it may be gone, or come to the next connection.
func (c *client) drain(ch *channel, limit int) Outcome {
	op := ch.op(Drain)
	op.Limit = limit
	return c.call(op, func(ctx context.Context, op *Op) error {
		page, err := c.session.Fetch(ctx, nodeservice.FetchRequest{Channel: ch.id, Legacy: ch.legacy, Limit: limit, Drain: true})
		op.Page = pageOf(page)
		return err
	}).Outcome
}
