package pebblestore

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

var (
	errClosed    = errors.New("pebblestore: closed")
	errNoChannel = errors.New("pebblestore: no such channel, or the recipient is not a member")
)

func unavailable(cause error) error {
	return &ns.Error{Code: ns.CodeUnavailable, Detail: "the store cannot serve now; try again later", Cause: cause}
}

func internal(cause error) error {
	return &ns.Error{Code: ns.CodeInternal, Detail: "the store holds something that makes no sense", Cause: cause}
}

// asStoreError gives an error its code: what we could read but not understand is
// internal, what could not be read or written is unavailable, and so is what
// Pebble found to be damaged: that is the disk's doing.
func asStoreError(err error) error {
	if err == nil {
		return nil // before coded, which escapes, is there
	}
	var coded *ns.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case pebble.IsCorruptionError(err):
		return unavailable(err)
	case errors.Is(err, errCorrupt), errors.Is(err, errNoChannel):
		return internal(err)
	}
	return unavailable(err)
}
