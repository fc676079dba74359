package crashtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory runs cores on one store that outlives them: a machine whose nodes die
// without losing anything.
type memory struct {
	store     nodeservice.Store
	keys      *identity.SigningKeys
	now       func() time.Time
	retention time.Duration
}

func newMemory(t *testing.T) *memory {
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	store := model.New()
	t.Cleanup(func() { _ = store.Close() })
	return &memory{store: store, keys: keys, now: time.Now}
}

func (m *memory) Start(context.Context) (Life, error) {
	core, err := nodeservice.New(nodeservice.Config{
		Store: m.store, Secret: make([]byte, 32), Keys: m.keys, PublicURL: Audience, Quotas: nodeservice.DefaultQuotas(),
		Now: m.now, Retention: nodeservice.Retention{Messages: m.retention},
	})
	if err != nil {
		return nil, err
	}
	l := &memoryLife{core: core, dead: make(chan struct{})}
	l.die = sync.OnceFunc(func() { close(l.dead) })
	return l, nil
}

type memoryLife struct {
	core *nodeservice.Service
	dead chan struct{}
	die  func()
}

func (l *memoryLife) Strike()               { l.die() }
func (l *memoryLife) Dead() <-chan struct{} { return l.dead }
func (l *memoryLife) Bury() error           { return l.core.Close() }

func (l *memoryLife) Doors() []Door {
	dial := func(context.Context) (nodeservice.Node, error) { return unclosable{l.core}, nil }
	return []Door{{Name: "one", Legacy: true, Dial: dial}, {Name: "other", Dial: dial}}
}

// unclosable hides that a core can be closed: its clients must not.
type unclosable struct{ nodeservice.Node }

// record is the history of a few lives.
func record(t *testing.T, seed uint64, lives int) *History {
	t.Helper()
	kit, err := New(newMemory(t), seed, crowd)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lives {
		if err := kit.Live(t.Context(), i == lives-1); err != nil {
			t.Fatal(err)
		}
	}
	return kit.History()
}

func TestAHistoryOfANodeThatKeepsItsWordIsInOrder(t *testing.T) {
	h := record(t, 1, 8)
	for _, v := range Check(h) {
		t.Error(v)
	}
	t.Log(Summarize(h))
}
