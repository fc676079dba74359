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
		kit: r.kit, life: r, person: p, door: door.Name, legacy: door.Legacy, session: session,
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
