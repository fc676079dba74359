package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// formatVersion is the key layout that this code reads and writes. A change
// that old code would misread raises it and adds a migration.
const formatVersion = 1

// migrations lead from one version to the next: migrations[v] turns version v
// into v+1, in the batch that also writes the new version. There are none yet.
var migrations = map[uint64]func(*pebble.DB, *pebble.Batch) error{}

// migrate brings the database to formatVersion: it marks an empty one, moves
// an older one forward a version at a time, and refuses a newer one, and what
// is not ours.
func migrate(db *pebble.DB) error {
	version, err := readFormat(db)
	if err != nil {
		return err
	}
	if version > formatVersion {
		return fmt.Errorf("pebblestore: the data has format %d, and this version reads up to %d: use a newer one", version, formatVersion)
	}
	if version == formatVersion {
		return nil
	}
	for ; version < formatVersion; version++ {
		if err := migrateFrom(db, version); err != nil {
			return fmt.Errorf("pebblestore: migrate from format %d: %w", version, err)
		}
	}
	// A new database began its log in Pebble's oldest format, which cannot tell
	// damage in its middle from a torn end: begin another.
	return db.Flush()
}

// readFormat reads the version; 0 is an empty database.
func readFormat(db *pebble.DB) (uint64, error) {
	b, found, err := get(db, []byte{keyFormat})
	if err != nil {
		return 0, err
	}
	if !found {
		err := scan(db, nil, nil, func(_, _ []byte) (bool, error) {
			return true, errors.New("pebblestore: the data directory holds data without a format version: it is not ours")
		})
		return 0, err
	}
	d := decoder{b: b}
	version := d.uint()
	return version, d.done()
}

func migrateFrom(db *pebble.DB, version uint64) (err error) {
	batch := db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	if version > 0 {
		if err := migrations[version](db, batch); err != nil {
			return err
		}
	}
	var e encoder
	e.uint(version + 1)
	if err := batch.Set([]byte{keyFormat}, e.b, nil); err != nil {
		return err
	}
	return batch.Commit(pebble.Sync)
}
