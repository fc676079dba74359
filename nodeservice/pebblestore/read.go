package pebblestore

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// get reads a record whole; found is false if there is none. The value is a copy.
func get(r pebble.Reader, key []byte) (value []byte, found bool, err error) {
	b, closer, err := r.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	value = append([]byte(nil), b...)
	return value, true, closer.Close()
}

// scan calls visit for the keys from lower up to, not including, upper, until
// it says stop. Both slices are valid during the call only.
func scan(r pebble.Reader, lower, upper []byte, visit func(key, value []byte) (stop bool, err error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		stop, err := visit(it.Key(), value)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if stop {
			break
		}
	}
	return it.Close() // with what stopped it, if anything
}
