package crashtest

import (
	"context"
	"fmt"
	"testing"
)

// campaignKills is how often one node is killed before another takes its place:
// histories stay short enough to be checked after every death.
const campaignKills = 20

// crowd is how many people use a node of a campaign.
const crowd = 4

// Campaign kills nodes of a mode's machines so many times, each from a fresh
// start, and checks the history after every death. It fails the test at the
// first violation, with the seed that leads there.
func Campaign(t *testing.T, mode string, seed uint64, kills int, newMachine func(t *testing.T, seed uint64) Machine) Summary {
	t.Helper()
	var total Summary
	t.Logf("%s: %d kills, seed %d", mode, kills, seed)
	for part := uint64(0); total.Kills < kills; part++ {
		n := min(campaignKills, kills-total.Kills)
		t.Run(fmt.Sprintf("%s from seed %d", mode, seed+part), func(t *testing.T) {
			kit, err := New(newMachine(t, seed+part), seed+part, crowd)
			if err != nil {
				t.Fatal(err)
			}
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
