package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	ns "github.com/quicproquo/node/nodeservice"
)

// Store implements nodeservice.Store on Redis. Any number of nodes may have one
// each on the same Redis.
type Store struct {
	client *Client
	cfg    Config

	gate   sync.RWMutex // held for reading by every call, and for writing by Close
	closed bool         // guarded by gate

	sweeping sync.Mutex // held by the one call that sweeps
	next     uint32     // bucket to sweep first; guarded by sweeping

	audits chan struct{} // holds a token for each audit under way: two at most

	settler *settler // static
}

var _ ns.Store = (*Store)(nil)

// Config says how to open a Store.
type Config struct {
	Client    *Client      // the caller's, who closes it after the store
	Namespace string       // what all keys begin with, without braces; "": "qpq"
	Wait      Wait         // what a change waits for besides the server's own answer
	Keeps     Persistence  // what the server keeps, for Durability: what Check reported; zero: it is not said
	Log       *slog.Logger // nil: discarded
}

// Wait is what a change waits for besides the server's own answer. The zero Wait
// is nothing: a change is as durable as the server is configured to make it.
type Wait struct {
	Replicas int           // that have it in memory or, with Disk, on disk
	Disk     bool          // the server has it on disk: WAITAOF, from Redis 7.2 on
	Timeout  time.Duration // then the change is unavailable; 0: 2 s, below which a disk synced each second is never
}

// ParseWait reads a setting: as-configured, wait-replicas=N, waitaof or waitaof=N.
func ParseWait(setting string) (Wait, error) {
	name, count, counted := strings.Cut(setting, "=")
	n := 0
	if counted {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			return Wait{}, fmt.Errorf("durability %q: %q is no number of replicas", setting, count)
		}
	}
	switch {
	case setting == "" || setting == "as-configured":
		return Wait{}, nil
	case name == "wait-replicas" && counted:
		return Wait{Replicas: n}, nil
	case name == "waitaof":
		return Wait{Disk: true, Replicas: n}, nil
	}
	return Wait{}, fmt.Errorf("durability %q is none of as-configured, wait-replicas=N, waitaof, waitaof=N", setting)
}

// isZero says that a change waits for nothing.
func (w Wait) isZero() bool { return w.Replicas == 0 && !w.Disk }

// Open opens the store. It connects, and refuses a server that lacks what the
// configuration needs.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if strings.ContainsAny(cfg.Namespace, "{}") {
		return nil, errors.New("redisstore: a namespace has no braces: they are for the keys")
	}
	cfg.Namespace = cmp.Or(cfg.Namespace, defaultNamespace)
	cfg.Wait.Timeout = cmp.Or(cfg.Wait.Timeout, 2*time.Second) // a disk that is synced each second must be able to
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	s := &Store{client: cfg.Client, cfg: cfg, audits: make(chan struct{}, 2)}
	s.settler = newSettler(s)
	if err := s.client.Ping(ctx).Err(); err != nil {
		return nil, asStoreError(err)
	}
	if !cfg.Wait.Disk {
		return s, nil
	}
	known, err := s.client.Do(ctx, "command", "info", "waitaof").Slice()
	if err != nil {
		return nil, asStoreError(err)
	}
	if len(known) == 0 || known[0] == nil {
		return nil, errors.New("redisstore: durability waitaof needs WAITAOF, which this Redis does not have: 7.2 or later does")
	}
	return s, nil
}

// enter begins a call; after a nil error the caller calls leave.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return unavailable(errClosed)
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// Free implements nodeservice.Store: what is left of maxmemory, on the master that
// has least left. Without a maxmemory all is free.
func (s *Store) Free(ctx context.Context) (float64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var mu sync.Mutex
	least := 1.0 // guarded by mu
	err := s.eachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		info, err := master.Info(ctx, "memory").Result()
		if err != nil {
			return err
		}
		free, err := freeMemory(info)
		mu.Lock()
		defer mu.Unlock()
		least = min(least, free)
		return err
	})
	if err != nil {
		return 0, asStoreError(err)
	}
	return least, nil
}

// freeMemory reads what INFO says. Buffers of replicas and of the append-only
// file do not count against maxmemory.
func freeMemory(info string) (float64, error) {
	numbers := map[string]float64{}
	for line := range strings.SplitSeq(info, "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "used_memory", "maxmemory", "mem_not_counted_for_evict":
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || math.IsNaN(n) || n < 0 {
				return 0, fmt.Errorf("%w: INFO says %q", errCorrupt, line)
			}
			numbers[name] = n
		}
	}
	most := numbers["maxmemory"]
	if most == 0 {
		return 1, nil
	}
	used := numbers["used_memory"] - numbers["mem_not_counted_for_evict"]
	return min(max(1-used/most, 0), 1), nil
}

// eachMaster runs fn on each server that holds a part of the keys.
func (s *Store) eachMaster(ctx context.Context, fn func(context.Context, *redis.Client) error) error {
	if s.client.cluster != nil {
		return s.client.cluster.ForEachMaster(ctx, fn)
	}
	single, err := s.master(ctx, "")
	if err != nil {
		return err
	}
	return fn(ctx, single)
}

// master is the server that holds a key.
func (s *Store) master(ctx context.Context, key string) (*redis.Client, error) {
	if s.client.cluster != nil {
		return s.client.cluster.MasterForKey(ctx, key)
	}
	single, ok := s.client.UniversalClient.(*redis.Client)
	if !ok {
		return nil, fmt.Errorf("redisstore: a client of type %T", s.client.UniversalClient)
	}
	return single, nil
}

// Durability implements nodeservice.Store.
func (s *Store) Durability() string {
	w := s.cfg.Wait
	replicas := fmt.Sprintf("%d replicas", w.Replicas)
	if w.Replicas == 1 {
		replicas = "1 replica"
	}
	switch {
	case w.Disk && w.Replicas > 0:
		return "Redis: on the disks of the server and of " + replicas + " before the answer"
	case w.Disk:
		return "Redis: on the server's disk before the answer"
	case w.Replicas > 0:
		return "Redis: in the server and in the memory of " + replicas + " before the answer; on disk as the servers are configured"
	}
	if s.cfg.Keeps != KeepsUnknown {
		return "Redis, as it is configured: it " + s.cfg.Keeps.String() + "; no replica is waited for"
	}
	return "Redis: as durable as the server is configured to be; no replica is waited for"
}

// Close implements nodeservice.Store. The Client stays open: it is its owner's.
func (s *Store) Close() error {
	s.gate.Lock() // which waits for calls
	s.closed = true
	s.gate.Unlock()
	s.settler.wait()
	return nil
}
