// Package storetest is the conformance suite of the core's contracts Store, Bus
// and Limiter: each of their promises is a subtest that is named for it. An
// engine is done when it passes; a new promise is written here first.
//
// Run drives one engine. After each promise it cuts the power, and whatever
// could be read before must read the same after. A state machine then compares
// the engine with the reference of package model over random calls.
package storetest

import (
	"slices"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// Engine is an implementation of nodeservice.Store under test.
type Engine struct {
	Name string

	// Open makes a new and empty store on storage of its own, and leaves what
	// is to be cleaned up to t.Cleanup.
	Open func(t TB) Opened
}

// Opened is a store that can lose its power.
type Opened struct {
	Store nodeservice.Store

	// Crash cuts the power and starts again: what was not made durable is lost,
	// and nothing is closed politely first. It returns the store reopened. The
	// store before it may serve calls that were under way, to no effect on the
	// new one, and is closed by Crash or by t.Cleanup. Crash may be called again,
	// and after the store was closed; never by two goroutines at once.
	Crash func(t TB) nodeservice.Store
}

// TB is what opening needs of a test: a *testing.T, or a check of rapid.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// promise is one of the contract, and what checks it.
type promise struct {
	name  string
	check func(*fixture)
}

// Run checks every promise of nodeservice.Store on an engine.
func Run(t *testing.T, e Engine) {
	promises := slices.Concat(
		channelPromises, visibilityPromises,
		appendPromises, messageIDPromises, quotaPromises,
		readPromises, ackPromises, payloadPromises,
		uploadPromises, claimPromises, markPromises,
		sweepPromises, closePromises, racePromises, crashPromises,
	)
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			f := newFixture(t, e)
			p.check(f)
			f.surviveCrash()
		})
	}
	t.Run("behaves as the model does", func(t *testing.T) { compareWithModel(t, e) })
}
