package pebblestore

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markersLast makes what a marker names durable before the marker can be. Pebble
// creates a manifest and then the marker that names it, and syncs their directory
// once, after both. A file system that keeps names in the order in which they were
// made needs no more; another may keep the marker alone through a power cut, and
// then the store would not open: the crash kit found it.
type markersLast struct{ vfs.FS }

// Create implements vfs.FS.
func (fs markersLast) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), "marker.") {
		if err := syncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return fs.FS.Create(name, category)
}
