package crashtest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// Kit drives one node through its lives. Make one with New.
type Kit struct {
	machine Machine
	chance  *rand.Rand // owned by the caller of Live
	history *History
	people  []*person  // static after construction
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
	Name string
	Dial func(ctx context.Context) (nodeservice.Node, error)
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
		machine: machine, chance: rand.New(rand.NewPCG(seed, 0)), history: &History{}, people: people,
		tokens: make([][]string, crowd),
	}, nil
}

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

// running is a life in use.
type running struct {
	kit     *Kit
	number  int
	life    Life
	ctx     context.Context // ends with the life
	cancel  context.CancelFunc
	clients [][]*client // by person and door
	nodes   []nodeservice.Node
	chance  *rand.Rand // owned by the goroutine that started the life

	enough   int64         // answers after which the node may die; static once clients work
	underWay int64         // operations under way when it does; static once clients work
	peaceful bool          // no strike at enough: clients stop; static once clients work
	answers  atomic.Int64  // since clients work
	open     atomic.Int64  // operations under way
	moment   chan struct{} // closed when the node must die
	once     sync.Once     // closes moment
}

// start starts the node and connects every person through every door, with the
// tokens of the life before: they outlive a crash as well.
func (k *Kit) start(ctx context.Context) (*running, error) {
	life, err := k.machine.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	r := &running{
		kit: k, number: k.lives, life: life, moment: make(chan struct{}), enough: -1,
		chance: rand.New(rand.NewPCG(k.chance.Uint64(), k.chance.Uint64())),
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.clients = make([][]*client, len(k.people))
	for _, p := range k.people {
		for i, door := range life.Doors() {
			c, err := r.connect(p, i, door)
			if err != nil {
				r.cancel()
				r.close()
				_ = life.Bury() // the first error says more
				return nil, fmt.Errorf("connect person %d through %s: %w", p.index, door.Name, err)
			}
			r.clients[p.index] = append(r.clients[p.index], c)
		}
	}
	return r, nil
}

func (r *running) connect(p *person, i int, door Door) (*client, error) {
	node, err := door.Dial(r.ctx)
	if err != nil {
		return nil, err
	}
	r.nodes = append(r.nodes, node)
	tokens := &r.kit.tokens[p.index]
	for len(*tokens) <= i {
		*tokens = append(*tokens, "")
	}
	if (*tokens)[i] == "" {
		if (*tokens)[i], err = login(r.ctx, node, p.key); err != nil {
			return nil, err
		}
	}
	session, err := node.Authenticate(r.ctx, nodeservice.Origin{}, (*tokens)[i])
	if err != nil {
		return nil, err
	}
	return &client{
		kit: r.kit, life: r, person: p, door: door.Name, session: session,
		chance: rand.New(rand.NewPCG(r.chance.Uint64(), r.chance.Uint64())),
	}, nil
}

func login(ctx context.Context, node nodeservice.Node, key *identity.PrivateKey) (token string, err error) {
	challenge, err := node.Challenge(ctx, nodeservice.Origin{}, key.Public())
	if err != nil {
		return "", err
	}
	signature, err := key.Sign(identity.LoginMessage(Audience, key.Public(), challenge.Nonce))
	if err != nil {
		return "", err
	}
	got, err := node.Login(ctx, nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature,
	})
	if err != nil {
		return "", err
	}
	return got.Token, got.Session.Close()
}

// perish lets all clients work, and kills the node among them.
func (r *running) perish(ctx context.Context) {
	r.answers.Store(0)
	r.enough = int64(5 + r.chance.IntN(80))
	r.underWay = int64(1 + r.chance.IntN(len(r.kit.people)))
	var murder sync.WaitGroup
	murder.Go(func() {
		select {
		case <-r.moment:
		case <-ctx.Done():
		}
		r.kit.history.strike()
		r.life.Strike()
		select {
		case <-r.life.Dead():
		case <-ctx.Done():
		}
		r.cancel()
	})
	r.work()
	if r.die(); !r.isDead() {
		r.life.Strike() // nobody is left to bring the moment about
	}
	murder.Wait()
}

// work lets all clients work at once, and waits for them.
func (r *running) work() {
	var working sync.WaitGroup
	for _, clients := range r.clients {
		for _, c := range clients {
			working.Go(c.work)
		}
	}
	working.Wait()
}

// asked counts an operation that begins, and may decide that this is the moment.
func (r *running) asked() {
	open := r.open.Add(1)
	if r.enough >= 0 && !r.peaceful && r.answers.Load() >= r.enough && open >= r.underWay {
		r.die()
	}
}

// told counts an operation that ended.
func (r *running) told(outcome Outcome) {
	r.open.Add(-1)
	if outcome != Unknown {
		r.answers.Add(1)
	}
}

func (r *running) die() { r.once.Do(func() { close(r.moment) }) }

func (r *running) isDead() bool {
	select {
	case <-r.life.Dead():
		return true
	default:
		return false
	}
}

// over says that clients must stop.
func (r *running) over() bool {
	return r.isDead() || r.ctx.Err() != nil || r.peaceful && r.answers.Load() >= r.enough
}

// close closes the clients, as far as the node's death has not: all at once,
// since some take a moment to say good-bye.
func (r *running) close() {
	var closing sync.WaitGroup
	for _, clients := range r.clients {
		for _, c := range clients {
			closing.Go(func() { _ = c.session.Close() }) // a dead node's connection says no more
		}
	}
	closing.Wait()
	for _, node := range r.nodes {
		if c, ok := node.(io.Closer); ok {
			closing.Go(func() { _ = c.Close() }) // likewise
		}
	}
	closing.Wait()
}
