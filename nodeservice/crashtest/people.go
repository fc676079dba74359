package crashtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// person is one identity of the kit, and what it remembers: its clients at both
// doors share it, as the sessions of a real client share a state file.
type person struct {
	index int
	key   *identity.PrivateKey
	own   *channel // its legacy queue; static

	mu       sync.Mutex
	channels []*channel // guarded by mu
	letters  []*letter  // guarded by mu: those with a message id that have a receipt
	claims   []*claim   // guarded by mu: answered ones with a claim id
	batches  []*batch   // guarded by mu: stored ones of one-time packages

	pending []func(*client) Outcome // guarded by mu: what to repeat, as its outcome is unknown
}

// channel is a person's side of one; or a legacy queue, to which others send.
type channel struct {
	id     nodeservice.ChannelID
	peer   int
	legacy bool // the queue of peer

	mu   sync.Mutex
	head nodeservice.Seq // guarded by mu: the highest seen
	seen nodeservice.Seq // guarded by mu: the highest received
}

// letter is a payload with all that must be the same when it is sent again.
type letter struct {
	channel   *channel
	payload   []byte
	messageID string
	ifHead    *nodeservice.Seq
	kept      bool // guarded by the sender's mu: it is among its letters
}

// claim is a claim that can be repeated.
type claim struct {
	owner int
	id    string
	kept  bool // guarded by the claimer's mu: it is among its claims
}

// batch is an upload.
type batch struct {
	packages   [][]byte
	lastResort bool
	kept       bool // guarded by the owner's mu: it is among its batches
}

// saw remembers how far the channel was seen.
func (c *channel) saw(head, received nodeservice.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.seen = max(c.head, head), max(c.seen, received)
}

func (c *channel) known() (head, seen nodeservice.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, c.seen
}

// channelWith remembers a channel, once.
func (p *person) channelWith(id nodeservice.ChannelID, peer int) *channel {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.channels {
		if c.id == id {
			return c
		}
	}
	c := &channel{id: id, peer: peer}
	p.channels = append(p.channels, c)
	return c
}

// later keeps what must be tried again in the node's next life.
func (p *person) later(again func(*client) Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, again)
}

// takePending is one thing to try again, or nil.
func (p *person) takePending() (again func(*client) Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.pending); n > 0 {
		again, p.pending = p.pending[n-1], p.pending[:n-1]
	}
	return again
}

// keep appends to one of a person's lists, once.
func keep[T any](p *person, list *[]T, item T, kept *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !*kept {
		*list, *kept = append(*list, item), true
	}
}

// some are at most n items of one of a person's lists, by chance.
func some[T any](p *person, chance *rand.Rand, list *[]T, n int) (picked []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range chance.Perm(len(*list))[:min(n, len(*list))] {
		picked = append(picked, (*list)[i])
	}
	return picked
}

// newPeople are n identities, of both algorithms.
func newPeople(n int) ([]*person, error) {
	people := make([]*person, n)
	for i := range people {
		algorithm := identity.EdDSA
		if i%2 == 1 {
			algorithm = identity.ES256
		}
		key, err := identity.GenerateKey(algorithm)
		if err != nil {
			return nil, err
		}
		people[i] = &person{index: i, key: key, own: &channel{peer: i, legacy: true}}
	}
	return people, nil
}

// newPackages makes n key packages of a person.
func (p *person) newPackages(n int, lastResort bool) (*batch, error) {
	suite := mls.CipherSuite(1)
	if p.key.Public().Algorithm() == identity.ES256 {
		suite = 2
	}
	now := time.Now()
	b := &batch{lastResort: lastResort}
	for range n {
		built, err := mls.KeyPackageTemplate{
			CipherSuite: suite, Signer: p.key.Signer(), Credential: fmt.Append(nil, "person ", p.index),
			NotBefore: now.Add(-time.Minute), NotAfter: now.Add(48 * time.Hour), Framed: true,
		}.Build()
		if err != nil {
			return b, err
		}
		b.packages = append(b.packages, built.Bytes)
	}
	return b, nil
}

// bytesOf are n bytes, 16 at least, that no other call gives.
func bytesOf(chance *rand.Rand, n int) []byte {
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		binary.BigEndian.PutUint64(seed[i:], chance.Uint64())
	}
	b := make([]byte, max(n, 16))
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}
