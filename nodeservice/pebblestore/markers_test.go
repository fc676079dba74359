package pebblestore

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A power cut that keeps a marker's name keeps the manifest that it names.
func TestManifestIsDurableBeforeItsMarker(t *testing.T) {
	fs := newHookFS()
	markers := 0
	fs.before(func(op errorfs.Op) error {
		_, name, isMarker := strings.Cut(op.Path, "marker.manifest.")
		if op.Kind != errorfs.OpCreate || !isMarker {
			return nil
		}
		markers++
		_, manifest, _ := strings.Cut(name, ".")
		if _, err := fs.crash().Stat("data/db/" + manifest); err != nil {
			t.Errorf("before the marker is made: %v", err)
		}
		return nil
	})
	for range 3 {
		s := open(t, fs)
		send(t, s, channelTo(t, s, 1), []byte("x"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if fs.clear(); markers < 3 {
		t.Errorf("%d markers were made", markers)
	}
}
