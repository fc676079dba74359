package redisstore

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

var (
	errClosed     = errors.New("redisstore: closed")
	errCorrupt    = errors.New("redisstore: a record makes no sense")
	errBusy       = errors.New("redisstore: others hold what is left of the quota, and do not settle")
	errNotDurable = errors.New("redisstore: the change was made, but is not as durable as configured")
)

// comeBack is when clients are told to try again: about what a failover takes.
const comeBack = time.Second

func unavailable(cause error) error {
	return &ns.Error{
		Code: ns.CodeUnavailable, Detail: "the store cannot serve now; try again later",
		RetryAfter: comeBack, Cause: cause,
	}
}

func internal(cause error) error {
	return &ns.Error{Code: ns.CodeInternal, Detail: "the store holds something that makes no sense", Cause: cause}
}

// away are how Redis's errors begin that say it cannot serve now: what an operator
// mends, or time.
var away = []string{
	"OOM", "READONLY", "LOADING", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF",
	"MOVED", "ASK", "NOAUTH", "WRONGPASS", "NOPERM", "UNKILLABLE", "ERR max number of clients", goneReply,
}

// goneReply is a script's answer when what it builds on is not there any more: a
// payload that was sent before it, or a reservation.
const goneReply = "GONE"

// asStoreError gives an error its code: what Redis refused because of what it
// holds is internal; what it refuses for now, or did not answer, is unavailable.
func asStoreError(err error) error {
	var coded *ns.Error
	var said redis.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, errCorrupt):
		return internal(err)
	case errors.As(err, &said) && !beginsAway(said.Error()):
		return internal(err)
	}
	return unavailable(err)
}

func beginsAway(said string) bool {
	for _, prefix := range away {
		if strings.HasPrefix(said, prefix) {
			return true
		}
	}
	return false
}
