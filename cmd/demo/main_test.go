package main

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDemo holds the demo to what it tells.
func TestDemo(t *testing.T) {
	var told bytes.Buffer
	err := run(t.Context(), &told, "")
	t.Logf("\n%s", told.String())
	if err != nil {
		t.Fatal(err)
	}
}
