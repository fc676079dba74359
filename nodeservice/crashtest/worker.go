package crashtest

import (
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

// work is what a client does until its node is dead, and in a life that ends in
// peace until enough was done: first what is still unknown, then anything.
func (c *client) work() {
	for !c.life.over() {
		act := c.person.takePending()
		if act == nil {
			act = c.choose()
		}
		if act(c) == Unknown {
			return // the node dies, or else Check will ask why
		}
	}
}

// deed is something to do, as often as its share of all shares.
type deed struct {
	share int
	do    func(*client) Outcome
}

var deeds = []deed{
	{34, (*client).sendAnything},
	{16, (*client).fetchAnything},
	{12, (*client).ackAnything},
	{6, (*client).fetchAndAck},
	{3, (*client).createAnything},
	{8, (*client).uploadAnything},
	{14, (*client).claimAnything},
	{3, (*client).status},
	{4, (*client).viewAnything},
	{8, (*client).repeatAnything},
	{8, (*client).sendLegacy},
	{14, (*client).readLegacy},
	{6, (*client).followAnything},
}

func (c *client) choose() func(*client) Outcome {
	total := 0
	for _, d := range deeds {
		total += d.share
	}
	n := c.chance.IntN(total)
	for _, d := range deeds {
		if n -= d.share; n < 0 {
			return d.do
		}
	}
	panic("unreachable: n is below the sum of the shares")
}

// anyChannel is one of the person's channels, or nil while there is none.
func (c *client) anyChannel() *channel {
	for _, ch := range some(c.person, c.chance, &c.person.channels, 1) {
		return ch
	}
	return nil
}

func (c *client) anyPeer() int {
	return (c.person.index + 1 + c.chance.IntN(len(c.kit.people)-1)) % len(c.kit.people)
}

func (c *client) createAnything() Outcome { return c.create(c.anyPeer()) }

func (c *client) viewAnything() Outcome {
	if ch := c.anyChannel(); ch != nil {
		return c.view(ch)
	}
	return c.createAnything()
}

// sendAnything sends a new letter: most are small, some are large, and a few
// need a file of their own in the store; half have a message id, a quarter a condition.
func (c *client) sendAnything() Outcome {
	ch := c.anyChannel()
	if ch == nil {
		return c.createAnything()
	}
	size := 16 + c.chance.IntN(500)
	switch c.chance.IntN(12) {
	case 0:
		size = 66 << 10
	case 1, 2:
		size = 1 + c.chance.IntN(30<<10)
	}
	l := c.newLetter(ch, size)
	if c.chance.IntN(4) == 0 {
		head, _ := ch.known()
		if head > 0 && c.chance.IntN(4) == 0 {
			head-- // bound to be refused
		}
		l.ifHead = &head
	}
	return c.send(l)
}

// newLetter is a letter of a size, of which half have a message id. Where messages
// expire none has: then the id is soon forgotten, and what a retry may do depends
// on the moment.
func (c *client) newLetter(ch *channel, size int) *letter {
	l := &letter{channel: ch, payload: bytesOf(c.chance, size)}
	if c.chance.IntN(2) == 0 && c.kit.history.retention == 0 {
		l.messageID = fmt.Sprintf("letter-%x", l.payload[:12])
	}
	return l
}

func (c *client) fetchAnything() Outcome {
	ch := c.anyChannel()
	if ch == nil {
		return c.createAnything()
	}
	after := nodeservice.Seq(0)
	if _, seen := ch.known(); c.chance.IntN(3) == 0 && seen > 0 {
		after = nodeservice.Seq(c.chance.IntN(int(seen))) + 1
	}
	return c.fetch(ch, after, 1+c.chance.IntN(20), 0).Outcome
}

// ackAnything acknowledges some of what was received, and now and then what
// cannot have been.
func (c *client) ackAnything() Outcome {
	ch := c.anyChannel()
	if ch == nil {
		return c.createAnything()
	}
	head, seen := ch.known()
	if c.chance.IntN(10) == 0 {
		return c.ack(ch, head+1_000_000)
	}
	if seen == 0 {
		return c.fetchAnything()
	}
	return c.ack(ch, seen-nodeservice.Seq(c.chance.IntN(int(min(seen, 4)))))
}

func (c *client) fetchAndAck() Outcome {
	ch := c.anyChannel()
	if ch == nil {
		return c.createAnything()
	}
	_, seen := ch.known()
	return c.fetch(ch, 0, 1+c.chance.IntN(20), seen).Outcome
}

func (c *client) uploadAnything() Outcome {
	b, err := c.person.newPackages(1+c.chance.IntN(4), c.chance.IntN(6) == 0)
	if err != nil {
		panic(err) // keys of our own making
	}
	if b.lastResort {
		b.packages = b.packages[:1] // one per suite
	}
	return c.upload(b)
}

// repeatAnything does once more what was answered before.
func (c *client) repeatAnything() Outcome {
	var again []func() Outcome
	for _, l := range some(c.person, c.chance, &c.person.letters, 1) {
		again = append(again, func() Outcome { return c.send(l) })
	}
	for _, cl := range some(c.person, c.chance, &c.person.claims, 1) {
		again = append(again, func() Outcome { return c.claim(cl) })
	}
	for _, b := range some(c.person, c.chance, &c.person.batches, 1) {
		again = append(again, func() Outcome { return c.upload(b) })
	}
	if len(again) == 0 {
		return c.status()
	}
	return again[c.chance.IntN(len(again))]()
}

func (c *client) claimAnything() Outcome {
	cl := &claim{owner: c.anyPeer()}
	if c.chance.IntN(2) == 0 {
		cl.id = fmt.Sprintf("claim-%x", bytesOf(c.chance, 16))
	}
	return c.claim(cl)
}
