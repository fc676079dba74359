package crashtest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// campaignKills is how often one node is killed before another takes its place:
// histories stay short enough to be checked after every death.
const campaignKills = 20

// crowd is how many people use a node of a campaign.
const crowd = 4

// Seed is the seed asked for, or with 0 a fresh one.
func Seed(asked uint64) uint64 {
	if asked != 0 {
		return asked
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return uint64(binary.BigEndian.Uint32(b[:])) + 1
}

// Campaign kills nodes of a mode's machines so many times, each from a fresh
// start, and checks the history after every death. It fails the test at the
// first violation, with the seed that leads there.
//
// Every other machine's nodes keep messages for a moment only, the shortest that
// the machine knows; retention 0 is longer than any history.
func Campaign(t *testing.T, mode string, seed uint64, kills int, moment time.Duration, newMachine func(t *testing.T, seed uint64, retention time.Duration) Machine) Summary {
	t.Helper()
	var total Summary
	t.Logf("%s: %d kills, seed %d", mode, kills, seed)
	for part := uint64(0); total.Kills < kills; part++ {
		n := min(campaignKills, (kills+1)/2, kills-total.Kills)
		retention, lasting := moment, "expiring messages"
		if part%2 == 0 {
			retention, lasting = 0, "lasting messages"
		}
		t.Run(fmt.Sprintf("%s, %s, from seed %d", mode, lasting, seed+part), func(t *testing.T) {
			kit, err := New(newMachine(t, seed+part, retention), seed+part, crowd)
			if err != nil {
				t.Fatal(err)
			}
			kit.Expire(retention)
			if err := kit.survive(t.Context(), t, n); err != nil {
				t.Error(err)
			}
			total.Add(Summarize(kit.history))
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%s: %v", mode, total)
	return total
}

// survive lives n lives that end by murder and one that does not.
func (k *Kit) survive(ctx context.Context, t *testing.T, n int) error {
	t.Helper()
	for i := range n + 1 {
		if err := k.Live(ctx, i == n); err != nil {
			return err
		}
		broken := Check(k.history)
		for _, v := range broken {
			t.Errorf("after life %d: %v", i, v)
		}
		if len(broken) > 0 {
			return fmt.Errorf("%d violations", len(broken))
		}
	}
	return nil
}
