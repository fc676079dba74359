package crashtest

import (
	"testing"
	"time"
)

// TestFloorMayBeALetterOfWhichNobodyLearned: the node died before it told, and by
// the time anybody could read the letter it had expired. Only who must have sent
// it cannot have it as a floor.
func TestFloorMayBeALetterOfWhichNobodyLearned(t *testing.T) {
	l := &lineCheck{checker: &checker{history: &History{retention: time.Second}}, author: map[seq]int{4: 0}}
	for _, c := range []struct {
		reader int
		floor  seq
		may    bool
	}{{0, 3, true}, {1, 3, true}, {0, 4, false}, {1, 4, true}} {
		if l.isFloor(&Op{Who: c.reader}, c.floor) != c.may {
			t.Errorf("person %d, floor %d: %v", c.reader, c.floor, !c.may)
		}
	}
}
