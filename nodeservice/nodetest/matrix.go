package nodetest

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/quicproquo/node/nodeservice"
)

// matrix remembers which cells ran, and how they ended.
type matrix struct {
	doors      []Door
	engines    []Engine
	behaviours []Behaviour

	mu    sync.Mutex
	cells map[cell]string // guarded by mu
	tally tally           // guarded by mu
}

type cell struct{ door, engine, behaviour string }

// tally counts what was searched for secrets.
type tally struct{ worlds, secrets, bytes int }

// Run tries every behaviour, and further ones, on every door and engine.
func Run(t *testing.T, doors []Door, engines []Engine, further ...Behaviour) {
	m := &matrix{doors: doors, engines: engines, behaviours: append(Behaviours(), further...), cells: map[cell]string{}}
	t.Run("node", func(t *testing.T) {
		m.each(func(d Door, e Engine, b Behaviour) {
			if d.tries(b) {
				t.Run(d.Name+"/"+e.Name+"/"+b.Name, func(t *testing.T) { m.try(t, d, e, b) })
			}
		})
	})
	if !selected() {
		t.Log("\n" + m.table(t.Failed()))
	}
	t.Logf("searched %d bytes of log and audit of %d nodes for %d secrets", m.tally.bytes, m.tally.worlds, m.tally.secrets)
	if !selected() {
		m.demandAll(t)
	}
}

func (m *matrix) each(visit func(Door, Engine, Behaviour)) {
	for _, d := range m.doors {
		for _, e := range m.engines {
			for _, b := range m.behaviours {
				visit(d, e, b)
			}
		}
	}
}

// try runs one cell; a behaviour that ends early is noted as failed.
func (m *matrix) try(t *testing.T, d Door, e Engine, b Behaviour) {
	t.Parallel()
	at := cell{d.Name, e.Name, b.Name}
	t.Cleanup(func() { m.note(at, t.Failed()) }) // after all the others
	w := newWorld(t, d, e, b)
	t.Cleanup(func() { m.search(t, w) })
	b.Run(w)
}

func (m *matrix) note(at cell, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[at] = "ok"
	if failed {
		m.cells[at] = "FAIL"
	}
}

// search looks for secrets in what the world's node wrote.
func (m *matrix) search(t *testing.T, w *World) {
	w.stop()
	w.secrets.search(t, "log", w.log.content())
	w.secrets.search(t, "audit", w.audit.content())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.worlds++
	m.tally.secrets += w.secrets.count()
	m.tally.bytes += len(w.log.content()) + len(w.audit.content())
}

// demandAll fails for every cell that should have run and did not, and if the
// search for secrets had nothing to search.
func (m *matrix) demandAll(t *testing.T) {
	for _, missing := range m.missing() {
		t.Errorf("did not run: %s/%s/%s", missing.door, missing.engine, missing.behaviour)
	}
	if m.tally.bytes == 0 || m.tally.secrets == 0 {
		t.Error("nothing was written to the logs and audits: the search for secrets proves nothing")
	}
}

// missing are the cells that should have run and did not.
func (m *matrix) missing() (cells []cell) {
	m.each(func(d Door, e Engine, b Behaviour) {
		at := cell{d.Name, e.Name, b.Name}
		if d.tries(b) && m.cells[at] == "" {
			cells = append(cells, at)
		}
	})
	return cells
}

// table is behaviour by (door, engine); "-" is a door that lacks what is needed. Where
// something failed, the rows of what passed everywhere would hide it.
func (m *matrix) table(failed bool) string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(out, "behaviour")
	for _, d := range m.doors {
		for _, e := range m.engines {
			fmt.Fprintf(out, "\t%s/%s", d.Name, e.Name)
		}
	}
	for i, b := range m.behaviours {
		row, passed := fmt.Sprintf("\n%3d %s", i+1, b.Name), true
		for _, d := range m.doors {
			for _, e := range m.engines {
				state := m.state(d, e, b)
				row += "\t" + state
				passed = passed && (state == "ok" || state == "-")
			}
		}
		if !failed || !passed {
			fmt.Fprint(out, row)
		}
	}
	fmt.Fprintln(out)
	_ = out.Flush() // to a strings.Builder
	return text.String()
}

func (m *matrix) state(d Door, e Engine, b Behaviour) string {
	switch state := m.cells[cell{d.Name, e.Name, b.Name}]; {
	case !d.tries(b):
		return "-"
	case state == "":
		return "missing"
	default:
		return state
	}
}

// selected says that the developer picked subtests: then not all can have run.
func selected() bool {
	for _, name := range []string{"test.run", "test.skip"} {
		if f := flag.Lookup(name); f != nil && strings.Contains(f.Value.String(), "/") {
			return true
		}
	}
	return false
}

// The nouns that nearly every behaviour speaks of.
type (
	channelID = nodeservice.ChannelID
	seq       = nodeservice.Seq
)
