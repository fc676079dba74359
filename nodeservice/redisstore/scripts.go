package redisstore

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var sources embed.FS

// script is one of the engine's, with what Redis is to know of it.
type script struct {
	*redis.Script
	reads bool // changes nothing
}

// The flags of scripts, as Redis 7.0 reads them from their first line. One that
// makes room is let in when memory is full.
const (
	changes   = "#!lua\n"
	onlyReads = "#!lua flags=no-writes\n"
	makesRoom = "#!lua flags=allow-oom\n"
)

// newScript joins files to a script; a file that is not there is a programming
// error.
func newScript(flags string, names ...string) *script {
	source := flags
	for _, name := range names {
		b, err := sources.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic(err)
		}
		source += string(b)
	}
	return &script{redis.NewScript(source), flags == onlyReads}
}

// token is what a script knows a repeated call by.
func newToken() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return string(b[:])
}

// maxTries is how often a call is sent whose connection ended.
const maxTries = 3

// run runs a script on the server that holds key, its first key. Every script may
// be sent twice.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (*reply, error) {
	keys = s.guarded(keys)
	for try := 1; ; try++ {
		answer, err := s.send(ctx, sc, keys, args)
		if err == nil {
			return readReply(answer), nil
		}
		if try == maxTries || !mayRepeat(err) || pauseFor(ctx, time.Duration(try)*5*time.Millisecond) != nil {
			return nil, asStoreError(err)
		}
	}
}

// guarded adds a key that never exists, in a cluster. While a slot moves from one
// server to another, each has some of its keys, and a script that comes upon one that
// has left ends in the middle of its step. Redis looks for the keys that a script
// names before it starts it: one that is nowhere keeps all scripts out until the
// slot has moved.
func (s *Store) guarded(keys []string) []string {
	if s.client.cluster == nil {
		return keys
	}
	return append(keys[:len(keys):len(keys)], tagOf(keys[0])+string(keyNowhere))
}

// tagOf is what all keys of a bucket begin with.
func tagOf(key string) string { return key[:strings.IndexByte(key, '}')+1] }

// mayRepeat says that a connection ended, which another may not do: a server that
// was restarted leaves such connections in the pool.
func mayRepeat(err error) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	case errors.As(err, &op):
		return op.Op != "dial" && !op.Timeout()
	}
	return strings.HasPrefix(err.Error(), "TRYAGAIN")
}

// pauseFor waits, or says that the context ended.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) send(ctx context.Context, sc *script, keys []string, args []any) (any, error) {
	if sc.reads || s.cfg.Wait.isZero() {
		return sc.Run(ctx, s.client, keys, args...).Result()
	}
	return s.sendAndWait(ctx, sc, keys, args)
}

// sendAndWait sends a script and what waits for it over one connection: WAIT is
// about what the connection has written. So that it is about what others wrote
// before as well, which the script may answer from, something is written in any
// case.
func (s *Store) sendAndWait(ctx context.Context, sc *script, keys []string, args []any) (any, error) {
	const tries = 4 // the script is not known, the slot has moved, and both again
	var err error
	source := false
	for range tries {
		var master *redis.Client
		if master, err = s.master(ctx, keys[0]); err != nil {
			return nil, err
		}
		var answer any
		answer, err = s.waitOn(ctx, master, sc, source, keys, args)
		switch {
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			source = true
		case redis.HasErrorPrefix(err, "MOVED"):
			s.client.cluster.ReloadState(ctx)
		default:
			return answer, err
		}
	}
	return nil, err
}

func (s *Store) waitOn(ctx context.Context, master *redis.Client, sc *script, source bool, keys []string, args []any) (any, error) {
	w := s.cfg.Wait
	pipe := master.Pipeline()
	var answer *redis.Cmd
	if source {
		answer = sc.Eval(ctx, pipe, keys, args...)
	} else {
		answer = sc.EvalSha(ctx, pipe, keys, args...)
	}
	fence := pipe.Incr(ctx, tagOf(keys[0])+string(keyFence))
	var reached *redis.Cmd
	if w.Disk {
		reached = pipe.Do(ctx, "waitaof", 1, w.Replicas, w.Timeout.Milliseconds())
	} else {
		reached = pipe.Do(ctx, "wait", w.Replicas, w.Timeout.Milliseconds())
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, err := range []error{answer.Err(), fence.Err(), reached.Err()} {
		if err != nil {
			return nil, err
		}
	}
	return answer.Val(), w.reached(reached.Val())
}

// reached compares what WAIT or WAITAOF answered with what was asked for.
func (w Wait) reached(answer any) error {
	replicas, local := answer, any(int64(1))
	if w.Disk {
		both, ok := answer.([]any)
		if !ok || len(both) != 2 {
			return fmt.Errorf("%w: WAITAOF answered %v", errCorrupt, answer)
		}
		local, replicas = both[0], both[1]
	}
	n, _ := replicas.(int64)
	onDisk, _ := local.(int64)
	if n < int64(w.Replicas) || onDisk < 1 {
		return unavailable(errNotDurable)
	}
	return nil
}

// question is one run of a script among many.
type question struct {
	key  string
	args []any
}

// runAll runs a script for many keys in one go. It waits for no replica and no disk:
// it is for what reads, and for what may be lost.
func (s *Store) runAll(ctx context.Context, sc *script, questions []question) ([]*reply, error) {
	pipe := s.client.Pipeline()
	answers := make([]*redis.Cmd, len(questions))
	for i, q := range questions {
		answers[i] = sc.EvalSha(ctx, pipe, s.guarded([]string{q.key}), q.args...)
	}
	if len(questions) > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	replies := make([]*reply, len(questions))
	for i, q := range questions {
		if answers[i].Err() == nil {
			replies[i] = readReply(answers[i].Val())
			continue
		}
		var err error // most likely the script is not known there
		if replies[i], err = s.run(ctx, sc, []string{q.key}, q.args...); err != nil {
			return nil, err
		}
	}
	return replies, nil
}
