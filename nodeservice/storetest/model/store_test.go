package model_test

import (
	"errors"
	"testing"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/storetest/model"
)

// TestFault fails a Spend before and after it took effect; the call that comes
// next tells which.
func TestFault(t *testing.T) {
	away := nodeservice.Errorf(nodeservice.CodeUnavailable, "the disk is away")
	for _, applied := range []bool{false, true} {
		s := model.New()
		s.SetFault(func(op string, after bool) error {
			if op == "Spend" && after == applied {
				return away
			}
			return nil
		})
		if first, err := s.Spend(t.Context(), "kind", [32]byte{}, 2, 1); first || !errors.Is(err, away) {
			t.Errorf("a Spend that fails answers %v, %v", first, err)
		}
		if _, err := s.Free(t.Context()); err != nil {
			t.Errorf("the fault of one method fails another: %v", err)
		}
		s.SetFault(nil)
		if first, err := s.Spend(t.Context(), "kind", [32]byte{}, 2, 1); first == applied || err != nil {
			t.Errorf("after a failure with applied %v: first is %v, %v", applied, first, err)
		}
	}
}

func TestReopen(t *testing.T) {
	s := model.New()
	s.SetFree(0.5)
	if _, err := s.Spend(t.Context(), "kind", [32]byte{}, 2, 1); err != nil {
		t.Fatal(err)
	}
	reopened := s.Reopen()
	if _, err := s.Free(t.Context()); nodeservice.CodeOf(err) != nodeservice.CodeUnavailable {
		t.Errorf("the store of before the crash still serves: %v", err)
	}
	if first, err := reopened.Spend(t.Context(), "kind", [32]byte{}, 2, 1); first || err != nil {
		t.Errorf("what was spent before the crash: first is %v, %v", first, err)
	}
	if free, err := reopened.Free(t.Context()); free != 0.5 || err != nil {
		t.Errorf("free is %v, %v", free, err)
	}
}
