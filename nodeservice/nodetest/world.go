package nodetest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// PublicURL is the audience of every node of the suite.
const PublicURL = "https://node.example"

// patience is how long a behaviour may take in all, so that one which hangs is told
// by its name: far more than any needs, on a machine that does much else.
const patience = 4 * time.Minute

// World is one node for one behaviour: a core on an engine, behind a door.
type World struct {
	T     *testing.T
	Ctx   context.Context // ends with the test, or when patience does
	Core  *nodeservice.Service
	Clock *Clock

	cfg     nodeservice.Config
	bus     *watchedBus
	store   *tap
	secrets *secrets
	log     *sink
	audit   *sink
	door    Door
	served  Served
	stop    func() // door and core; may be called twice
}

// newWorld starts a node whose rates are unlimited, whose quotas are the usual
// ones, and which neither sweeps nor ticks by itself, unless b says otherwise.
func newWorld(t *testing.T, door Door, engine Engine, b Behaviour) *World {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	w := &World{T: t, Ctx: ctx, Clock: &Clock{}, bus: newWatchedBus(), secrets: &secrets{},
		log: &sink{}, audit: &sink{}, door: door}
	w.store = newTap(engine.Open(t))
	keys, err := identity.GenerateSigningKeys()
	w.ok(err)
	w.cfg = nodeservice.Config{
		Store: w.store, Bus: w.bus, Secret: randomBytes(32), Keys: keys, PublicURL: PublicURL,
		Quotas: nodeservice.DefaultQuotas(), Now: w.Clock.Now, Audit: w.audit,
		Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if b.Config != nil {
		b.Config(&w.cfg)
	}
	w.start()
	return w
}

// start runs a core on the world's store and opens the door to it.
func (w *World) start() {
	core, err := nodeservice.New(w.cfg)
	w.ok(err)
	running, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- core.Run(running) }()
	w.Core = core
	w.served = w.door.Serve(w.T, core, w.cfg.Log)
	served := w.served
	w.stop = sync.OnceFunc(func() {
		served.Stop()
		cancel()
		<-ended
		_ = core.Close() // reported by the package's own tests
	})
	w.T.Cleanup(w.stop)
}

// Restart stops the core and starts another on the same store. Clients from
// before are of no use; Actor.rejoin dials anew.
func (w *World) Restart() {
	w.stop()
	w.start()
}

// Dial is a new client of the node.
func (w *World) Dial() nodeservice.Node { return w.served.Dial(w.T) }

// Addr is where the door listens.
func (w *World) Addr() string { return w.served.Addr }

// sweep deletes what has expired, now.
func (w *World) sweep() {
	w.T.Helper()
	w.ok(w.Core.Sweep(w.Ctx))
}

// origin is where the suite's clients come from, if the door lets them say.
var origin = nodeservice.Origin{Address: netip.MustParseAddr("192.0.2.1"), Door: "direct", Version: nodeservice.MaxVersion}

// Mint is a token of the node's own key for an identity, from a moment on.
func (w *World) Mint(id nodeservice.Identity, from time.Time, ttl time.Duration) string {
	w.T.Helper()
	return w.mintBy(identity.IssuerConfig{URL: PublicURL, Keys: w.cfg.Keys, TTL: ttl}, id, from)
}

func (w *World) mintBy(cfg identity.IssuerConfig, id nodeservice.Identity, from time.Time) string {
	w.T.Helper()
	token, _, err := identity.NewIssuer(cfg).Mint(id, from)
	w.ok(err)
	w.secrets.addToken(token)
	return token
}

// Clock goes with the wall's, but for what a behaviour moves it by.
type Clock struct {
	mu    sync.Mutex
	moved time.Duration // guarded by mu
}

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.moved)
}

// Move sets the clock forward, or with a negative d back.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Behaviours that move the clock far need sessions that last.
func longSessions(cfg *nodeservice.Config) { cfg.TokenTTL = 365 * 24 * time.Hour }
