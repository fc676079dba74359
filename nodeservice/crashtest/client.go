package crashtest

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// client is a person's session at one door, in one life of the node. Each of its
// methods is one operation, which goes into the history.
type client struct {
	kit     *Kit
	life    *running
	person  *person
	door    string
	legacy  bool // its door serves legacy queues
	session nodeservice.Session
	chance  *rand.Rand // owned by whoever uses the client: one goroutine at a time
}

// patience is how long a call may take: one without an answer is looked into.
const patience = time.Minute

// call makes one operation: ask asks the node and fills in the answer.
func (c *client) call(op Op, ask func(ctx context.Context, op *Op) error) Op {
	op.Life, op.Who, op.Door = c.life.number, c.person.index, c.door
	op.Begin, op.At = c.kit.history.begin(), nodeservice.Milli(c.kit.now())
	c.life.asked()
	ctx, done := context.WithTimeout(c.life.ctx, patience)
	err := ask(ctx, &op)
	done()
	op.Until = nodeservice.Milli(c.kit.now())
	op.Outcome = outcomeOf(err)
	if c.life.isDead() {
		// A process that has died answers no more; a node without power may
		// go on talking, and what it says then counts for nothing.
		op.Outcome = Unknown
	}
	if op.Outcome != Answered {
		op.Code = nodeservice.CodeOf(err)
	}
	if e := nodeservice.AsError(err); err != nil && e.Head != nil {
		op.Head = *e.Head
	}
	op = c.kit.history.end(op)
	c.life.told(op.Outcome)
	return op
}

// outcomeOf tells a refusal, which changed nothing, from an answer that is not
// there. Errors of the connection are unavailable, as clients report them.
func outcomeOf(err error) Outcome {
	switch nodeservice.CodeOf(err) {
	case "":
		return Answered
	case nodeservice.CodeUnavailable, nodeservice.CodeInternal:
		return Unknown
	}
	return Refused
}

func (c *client) create(peer int) Outcome {
	op := c.call(Op{Kind: Create, Peer: peer}, func(ctx context.Context, op *Op) (err error) {
		op.View, op.Created, err = c.session.CreateChannel(ctx, c.kit.people[peer].key.Public())
		op.Channel = op.View.ID
		return err
	})
	switch op.Outcome {
	case Answered:
		c.person.channelWith(op.Channel, peer).saw(op.View.Head, 0)
	case Unknown:
		c.person.later(func(c *client) Outcome { return c.create(peer) })
	}
	return op.Outcome
}

func (c *client) view(ch *channel) Outcome {
	return c.call(Op{Kind: View, Channel: ch.id, Peer: ch.peer}, func(ctx context.Context, op *Op) (err error) {
		op.View, err = c.session.Channel(ctx, ch.id)
		return err
	}).Outcome
}

// send sends a letter, for the first time or again.
func (c *client) send(l *letter) Outcome {
	c = c.serving(l.channel)
	req := nodeservice.EnqueueRequest{Channel: l.channel.id, Payload: l.payload, IfHead: l.ifHead}
	if l.channel.legacy {
		req.Legacy, req.Recipient = true, c.kit.people[l.channel.peer].key.Public()
	}
	if l.messageID != "" {
		req.MessageID = []byte(l.messageID)
	}
	op := l.channel.op(Send)
	op.Letter, op.MessageID, op.IfHead = sha256.Sum256(l.payload), l.messageID, l.ifHead
	op = c.call(op, func(ctx context.Context, op *Op) (err error) {
		op.Receipt, err = c.session.Enqueue(ctx, req)
		return err
	})
	l.channel.saw(max(op.Receipt.Seq, op.Head), 0)
	switch {
	case l.messageID == "":
	case op.Outcome == Answered:
		keep(c.person, &c.person.letters, l, &l.kept)
	case op.Outcome == Unknown:
		c.person.later(func(c *client) Outcome { return c.send(l) })
	}
	return op.Outcome
}

// op is an operation on the channel, or the legacy queue.
func (ch *channel) op(kind Kind) Op {
	return Op{Kind: kind, Channel: ch.id, Peer: ch.peer, Legacy: ch.legacy}
}

// serving is c, or if its door does not serve the queue the same person's client
// at one that does.
func (c *client) serving(ch *channel) *client {
	if !ch.legacy || c.legacy {
		return c
	}
	return c.life.legacyClient(c.person)
}

// fetch reads one page, and acknowledges before if through is not 0.
func (c *client) fetch(ch *channel, after nodeservice.Seq, limit int, through nodeservice.Seq) Op {
	c = c.serving(ch)
	op := ch.op(Fetch)
	op.After, op.Limit, op.Through = after, limit, through
	op = c.call(op, func(ctx context.Context, op *Op) error {
		page, err := c.session.Fetch(ctx, nodeservice.FetchRequest{
			Channel: ch.id, Legacy: ch.legacy, After: after, Limit: limit, AckThrough: through,
		})
		op.Page = pageOf(page)
		return err
	})
	if n := len(op.Page.Messages); n > 0 {
		ch.saw(op.Page.Head, op.Page.Messages[n-1].Seq)
	}
	return op
}

func (c *client) ack(ch *channel, through nodeservice.Seq) Outcome {
	c = c.serving(ch)
	op := ch.op(Ack)
	op.Through = through
	op = c.call(op, func(ctx context.Context, _ *Op) error {
		return c.session.Ack(ctx, nodeservice.AckRequest{Channel: ch.id, Legacy: ch.legacy, Through: through})
	})
	if op.Outcome == Unknown {
		c.person.later(func(c *client) Outcome { return c.ack(ch, through) })
	}
	return op.Outcome
}

// upload uploads a batch, for the first time or again.
func (c *client) upload(b *batch) Outcome {
	op := Op{Kind: Upload, LastResort: b.lastResort}
	for _, p := range b.packages {
		op.Packages = append(op.Packages, sha256.Sum256(p))
	}
	op = c.call(op, func(ctx context.Context, _ *Op) error {
		_, err := c.session.UploadKeyPackages(ctx, nodeservice.UploadRequest{Packages: b.packages, LastResort: b.lastResort})
		return err
	})
	switch {
	case op.Outcome == Answered && !b.lastResort:
		keep(c.person, &c.person.batches, b, &b.kept)
	case op.Outcome == Unknown:
		c.person.later(func(c *client) Outcome { return c.upload(b) })
	}
	return op.Outcome
}

// claim claims a key package, for the first time or again.
func (c *client) claim(cl *claim) Outcome {
	op := Op{Kind: Claim, Peer: cl.owner, ClaimID: cl.id}
	op = c.call(op, func(ctx context.Context, op *Op) error {
		req := nodeservice.ClaimRequest{Owner: c.kit.people[cl.owner].key.Public()}
		if cl.id != "" {
			req.ClaimID = []byte(cl.id)
		}
		got, err := c.session.ClaimKeyPackage(ctx, req)
		op.Claimed, op.LastResort = got.Fingerprint, got.LastResort
		if err == nil && got.Fingerprint != sha256.Sum256(got.Data) {
			op.Claimed = sha256.Sum256(got.Data) // not what was uploaded: nobody knows it
		}
		return err
	})
	switch {
	case cl.id == "":
	case op.Outcome == Answered:
		keep(c.person, &c.person.claims, cl, &cl.kept)
	case op.Outcome == Unknown:
		c.person.later(func(c *client) Outcome { return c.claim(cl) })
	}
	return op.Outcome
}

func (c *client) status() Outcome {
	return c.call(Op{Kind: Status}, func(ctx context.Context, op *Op) error {
		stock, err := c.session.KeyPackageStatus(ctx)
		for _, s := range stock {
			op.OneTime += int(s.OneTime)
		}
		return err
	}).Outcome
}
