package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// Kit drives one node through its lives. Make one with New.
type Kit struct {
	machine Machine
	chance  *rand.Rand // owned by the caller of Live
	history *History
	people  []*person // static after construction
	now     func() time.Time
	tokens  [][]string // owned by the caller of Live: by person and door; "": not logged in yet
	lives   int        // owned by the caller of Live
}

// Machine is what runs nodes, one after the other on the same data.
type Machine interface {
	// Start starts a node on what the last one left, and returns when it serves.
	Start(ctx context.Context) (Life, error)
}

// Life is one run of a node.
type Life interface {
	// Doors are the ways in. Dial makes a client of its own, which is closed if
	// it is an io.Closer.
	Doors() []Door

	// Strike kills the node, now or at a moment soon that chance prefers; the
	// node goes on being used until Dead is closed. A second Strike kills it now.
	Strike()

	// Dead is closed when the node has died: what it answers later counts not.
	Dead() <-chan struct{}

	// Bury waits for everything that belonged to the node. Without a Strike
	// before it ends the node in peace.
	Bury() error
}

// Door is a way in.
type Door struct {
	Name   string
	Legacy bool // it serves the queues of before channels, too: at least one must
	Dial   func(ctx context.Context) (nodeservice.Node, error)
}

// Audience is what the nodes of a Machine must be told to be.
const Audience = "https://node.example"

// New makes a kit of so many people, at least 2, whose choices follow from the
// seed. The fewer they are, the more they meet.
func New(machine Machine, seed uint64, crowd int) (*Kit, error) {
	people, err := newPeople(crowd)
	if err != nil {
		return nil, err
	}
	return &Kit{
		machine: machine, chance: rand.New(rand.NewPCG(seed, 0)), history: &History{}, people: people, now: time.Now,
		tokens: make([][]string, crowd),
	}, nil
}

// Expire says, before the first life, that the machine's nodes keep messages so
// long and no longer. Without it nothing may expire.
func (k *Kit) Expire(after time.Duration) { k.history.retention = after }

// History is what happened so far.
func (k *Kit) History() *History { return k.history }

// Live starts the node, asks it for all that it must know, uses it through all
// doors at once, and kills it after a number of answers that chance decides; the
// node of the last life is asked, and ends in peace.
func (k *Kit) Live(ctx context.Context, last bool) error {
	r, err := k.start(ctx)
	if err != nil {
		return fmt.Errorf("life %d: %w", k.lives, err)
	}
	k.lives++
	if err = r.survey(); err == nil && !last {
		r.perish(ctx)
	}
	r.cancel()
	r.close()
	if buried := r.life.Bury(); err == nil && buried != nil {
		err = fmt.Errorf("bury: %w", buried)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("life %d: %w", r.number, err)
	}
	return nil
}

// Use starts the node, lets all clients work until so many operations are
// answered, and ends it in peace: a history without crashes.
func (k *Kit) Use(ctx context.Context, answers int) error {
	r, err := k.start(ctx)
	if err != nil {
		return err
	}
	k.lives++
	r.enough, r.peaceful = int64(answers), true
	r.work()
	r.cancel()
	r.close()
	if err := r.life.Bury(); err != nil {
		return err
	}
	return ctx.Err()
}
