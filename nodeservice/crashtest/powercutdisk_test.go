package crashtest_test

import (
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// cutFS is a disk in memory whose power is cut at a chosen place: before or
// after a write or a sync. It goes on working afterwards, for a node that does
// not know yet that it is dead; after is what the next one finds.
type cutFS struct {
	*vfs.MemFS
	dead  chan struct{} // closed when the power is cut, before after is taken
	after *vfs.MemFS    // written before taken is closed
	taken chan struct{}
	lies  string // syncs of such files do nothing; static once it is in use

	mu     sync.Mutex
	chance *mathrand.Rand // guarded by mu, and by its owner while nothing is armed
	place  string         // guarded by mu: where to cut; "": nowhere
	skip   int            // guarded by mu: places of the kind to let pass
	events int            // guarded by mu: places of any kind since it was armed
	over   bool           // guarded by mu: the power was cut
}

// anywhere is a place that matches all places.
const anywhere = "anywhere"

// places are where a cut is worth trying: before and after each kind of sync, in
// the middle of a group that is written and not synced, in payload files and the
// directories that name them.
var places = []string{
	"before sync of log", "after sync of log", "before write of log", "after write of log",
	"before write of payload", "after write of payload", "before sync of payload", "after sync of payload",
	"before sync of payloads' directory", "after sync of payloads' directory",
	"before sync of manifest", "after sync of manifest", "before sync of table", "after sync of table",
	"before sync of database directory", "after sync of database directory", anywhere,
}

// patience is how many places of any kind pass before a cut happens at a place
// that was not asked for: some are rare.
const patience = 300

func newCutFS(disk *vfs.MemFS, chance *mathrand.Rand) *cutFS {
	return &cutFS{MemFS: disk, chance: chance, dead: make(chan struct{}), taken: make(chan struct{})}
}

// arm has the power cut at the place after skip others of its kind.
func (fs *cutFS) arm(place string, skip int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.place, fs.skip, fs.events = place, skip, 0
}

// armAnywhere arms a place by chance; false: one is armed already.
func (fs *cutFS) armAnywhere() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.place != "" || fs.over {
		return false
	}
	fs.place, fs.skip, fs.events = places[fs.chance.IntN(len(places))], fs.chance.IntN(4), 0
	return true
}

// disarm says whether the power was cut; if not, it will not be.
func (fs *cutFS) disarm() (wasCut bool) {
	fs.mu.Lock()
	fs.place = ""
	wasCut = fs.over
	fs.mu.Unlock()
	if wasCut {
		<-fs.taken
	}
	return wasCut
}

// at is called at every place.
func (fs *cutFS) at(place string) {
	fs.mu.Lock()
	hit := fs.place == place || fs.place == anywhere
	if hit {
		fs.skip--
	}
	fs.events++
	now := fs.place != "" && (hit && fs.skip < 0 || fs.events > patience)
	fs.mu.Unlock()
	if now {
		fs.cut(place)
	}
}

// cut takes the power away: first nobody's word counts any more, and then what
// is on the disk is what was synced, with or without some of the rest.
func (fs *cutFS) cut(place string) {
	fs.mu.Lock()
	if fs.over {
		fs.mu.Unlock()
		return
	}
	fs.over, fs.place = true, ""
	var rest vfs.CrashCloneCfg
	if fs.lies == "" && fs.chance.IntN(3) == 0 {
		rest = vfs.CrashCloneCfg{UnsyncedDataPercent: 1 + fs.chance.IntN(99), RNG: mathrand.New(mathrand.NewPCG(fs.chance.Uint64(), 2))}
	}
	fs.mu.Unlock()
	countPlace(place)
	close(fs.dead)
	fs.after = fs.MemFS.CrashClone(rest)
	close(fs.taken)
}

// cutFile is a file or a directory of a cutFS.
type cutFile struct {
	vfs.File
	fs   *cutFS
	what string
}

func (fs *cutFS) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	what := "other file"
	switch base := fs.PathBase(name); {
	case strings.HasSuffix(base, ".log"):
		what = "log"
	case strings.HasPrefix(base, "MANIFEST"):
		what = "manifest"
	case strings.HasSuffix(base, ".sst"), strings.HasSuffix(base, ".blob"):
		what = "table"
	case strings.Contains(name, "blobs/"):
		what = "payload"
	}
	return &cutFile{File: f, fs: fs, what: what}, nil
}

func (fs *cutFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.MemFS.Create(name, category)
	return fs.file(name, f, err)
}

func (fs *cutFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.MemFS.OpenReadWrite(name, category, opts...)
	return fs.file(name, f, err)
}

func (fs *cutFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.MemFS.ReuseForWrite(oldname, newname, category)
	return fs.file(newname, f, err)
}

func (fs *cutFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.MemFS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	what := "database directory"
	if fs.PathBase(name) == "blobs" {
		what = "payloads' directory"
	}
	return &cutFile{File: f, fs: fs, what: what}, nil
}

// around does an operation between the places before and after it.
func (f *cutFile) around(name string, do func() error) error {
	f.fs.at("before " + name + " of " + f.what)
	var err error
	if f.fs.lies != f.what || name != "sync" {
		err = do()
	}
	f.fs.at("after " + name + " of " + f.what)
	return err
}

func (f *cutFile) Write(b []byte) (n int, err error) {
	err = f.around("write", func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f *cutFile) Sync() error     { return f.around("sync", f.File.Sync) }
func (f *cutFile) SyncData() error { return f.around("sync", f.File.SyncData) }

func (f *cutFile) SyncTo(length int64) (full bool, err error) {
	err = f.around("sync", func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// cutCounts says how often the power was cut where, over all nodes.
var cutCounts struct {
	sync.Mutex
	at map[string]int
}

func countPlace(place string) {
	cutCounts.Lock()
	defer cutCounts.Unlock()
	if cutCounts.at == nil {
		cutCounts.at = map[string]int{}
	}
	cutCounts.at[place]++
}

func cutPlaces() (all []string) {
	cutCounts.Lock()
	defer cutCounts.Unlock()
	for _, place := range slices.Sorted(maps.Keys(cutCounts.at)) {
		all = append(all, fmt.Sprintf("%s: %d", place, cutCounts.at[place]))
	}
	return all
}
