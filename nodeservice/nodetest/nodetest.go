// Package nodetest is the behaviour suite of the node: what a client may rely
// on, tried through the doors that clients use.
//
// A Door opens a Node on a running core, an Engine opens the store below it.
// Run tries every behaviour on every pair of them, prints what ran where, and
// fails if something that should have run did not: nothing is skipped in
// silence. A behaviour that needs what only some doors offer says so; all else
// must hold on all of them alike.
//
// It is not for what belongs to one door only (statuses, frames, memory
// bounds): that is tested beside the door. Nor for engines, whose contract is
// storetest. It does not know any door or engine; the root package's test, the
// one place that may import everything, wires them.
//
// Nothing here sleeps to wait: a behaviour waits for an answer, for an event of
// a stream, or for the core to subscribe to its bus or to read its store.
package nodetest

import (
	"log/slog"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// Door is a way into a node.
type Door struct {
	Name string
	Has  Features

	// Only picks behaviours by name, for a door that differs from another in its
	// transport alone. Nil: all.
	Only func(behaviour string) bool

	// Serve puts the door before a core. Whatever is left open when the test
	// ends is closed by t.Cleanup; log is for the door's own log, which is
	// searched for secrets with the core's.
	Serve func(t *testing.T, core *nodeservice.Service, log *slog.Logger) Served
}

// tries says whether a behaviour is tried on the door.
func (d Door) tries(b Behaviour) bool {
	return b.Needs&^d.Has == 0 && (d.Only == nil || d.Only(b.Name))
}

// Served is a door that is open.
type Served struct {
	// Dial is a new client: a connection of its own, where the door has such.
	Dial func(t *testing.T) nodeservice.Node

	// Prove is a new client that proves with every request that it holds key; and
	// Present one that presents with every request what proof makes of it. Only
	// with Proofs.
	Prove   func(t *testing.T, key *identity.PrivateKey) nodeservice.Node
	Present func(t *testing.T, proof func(method, url string) string) nodeservice.Node

	// Addr is where the door listens; "" if nowhere.
	Addr string

	// Stop closes the door and waits for what runs behind it. The core is not
	// touched. It may be called twice.
	Stop func()
}

// Engine is a kind of store.
type Engine struct {
	Name string

	// Open is a new, empty store, which t.Cleanup closes.
	Open func(t *testing.T) nodeservice.Store
}

// Features are what some doors offer and others do not.
type Features uint

// The features.
const (
	Drain     Features = 1 << iota // fetches that remove what they return
	Legacy                         // enqueue and fetch without a channel
	Recipient                      // a recipient's key beside the channel
	MaxBytes                       // a bound on a page's payload
	Window                         // a stream's window of the client's choice
	Origins                        // the client's address is the test's choice
	Native                         // speaks the native schema at Served.Addr
	HTTP                           // speaks HTTP at Served.Addr, beside the core
	Held                           // the session of a login goes on without its token
	Proofs                         // carries proofs of possession: Served.Prove, Served.Present
)

// Behaviour is something that clients rely on.
type Behaviour struct {
	Name   string // completes "the node: "
	Needs  Features
	Config func(*nodeservice.Config) // nil: the suite's own configuration
	Run    func(w *World)
}

// Behaviours are all that hold for every engine, and for every door that has
// what they need.
func Behaviours() []Behaviour {
	var all []Behaviour
	for _, chapter := range [][]Behaviour{
		conversations, logins, sessions, tokens, proofs, channels, strangers, messages, idempotency, drains, waits,
		expiry, quotas, rates, byteLimits, legacy, keyPackages, claims, streams, announcements, windows, streamEnds, faults,
	} {
		all = append(all, chapter...)
	}
	return all
}
