package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fileMaxAge = time.Second
	urlPause   = time.Minute     // between two fetches, whatever kids arrive
	urlMaxAge  = 5 * time.Minute // a key that its issuer withdrew is refused by then

	loadTimeout = 5 * time.Second
)

// keySource keeps an external issuer's keys up to date. One load at most is under
// way, and none begins sooner than pause after the one before, however many tokens
// with unknown kids arrive: nothing about those is kept. While loads fail, the set
// at hand stays in use.
type keySource struct {
	load    func(context.Context) (*keySet, error) // static; one call at a time
	pause   time.Duration                          // static
	maxAge  time.Duration                          // static
	patient bool                                   // static: whether verifying waits for a set that is due
	log     *slog.Logger                           // static, with the issuer

	life context.Context // static: ends with stop
	stop context.CancelFunc

	keys   atomic.Pointer[keySet] // replaced by fly; nil before the first load
	began  atomic.Int64           // Unix milliseconds of the latest load; 0: none
	failed atomic.Bool            // whether that load failed

	mu     sync.Mutex
	latest *flight        // guarded by mu; nil before the first load
	closed bool           // guarded by mu
	loads  sync.WaitGroup // the goroutine of the latest load; Go under mu, so that none follows close
}

// flight is one load, for all who wait for it.
type flight struct {
	landed chan struct{}
	err    error // of the load, for operators; written before landed is closed
}

var errClosed = errors.New("the verifier is closed")

func newKeySource(p IssuerPolicy, log *slog.Logger) *keySource {
	s := &keySource{log: log.With("issuer", p.Issuer)}
	if p.JWKSFile != "" {
		s.load, s.pause, s.maxAge, s.patient = (&keyFile{path: p.JWKSFile}).load, fileMaxAge, fileMaxAge, true
	} else {
		s.load, s.pause, s.maxAge = newKeyURL(p.JWKSURL, p.RootCAs).load, urlPause, urlMaxAge
	}
	s.life, s.stop = context.WithCancel(context.Background())
	return s
}

// find implements issuerKeys. That a kid is unknown is a reason to look again.
func (s *keySource) find(ctx context.Context, name keyName, now time.Time) (verifyKey, error) {
	s.freshen(ctx, now)
	if key, ok := s.at(name); ok {
		return key, nil
	}
	err := s.refresh(now, s.pause).wait(ctx)
	key, ok := s.at(name)
	switch {
	case ok:
		return key, nil
	case err != nil:
		return verifyKey{}, fmt.Errorf("%w now: try again in a minute", ErrIssuerUnavailable)
	}
	return verifyKey{}, fmt.Errorf("%w: its issuer has no key of its kid for its alg", ErrToken)
}

// holds implements issuerKeys.
func (s *keySource) holds(signer Signer) bool {
	key, ok := s.at(keyName{signer.KeyID, signer.Algorithm})
	return ok && key.thumbprint == signer.Thumbprint
}

func (s *keySource) at(name keyName) (verifyKey, bool) {
	keys := s.keys.Load()
	if keys == nil {
		return verifyKey{}, false
	}
	return keys.find(name)
}

// freshen implements issuerKeys. A fetch is not waited for: the set at hand will
// do until it lands.
func (s *keySource) freshen(ctx context.Context, now time.Time) {
	if s.recent(now, s.age()) {
		return
	}
	if f := s.refresh(now, s.age()); s.patient {
		_ = f.wait(ctx)
	}
}

// age is how old a load may be. One that failed is tried again soon.
func (s *keySource) age() time.Duration {
	if s.failed.Load() {
		return s.pause
	}
	return s.maxAge
}

// recent reports whether the latest load is younger than that. Callers' clocks
// may differ by a little, in both directions; one that was set back by more does
// not stop us from loading.
func (s *keySource) recent(now time.Time, age time.Duration) bool {
	began := s.began.Load()
	return began != 0 && now.Sub(time.UnixMilli(began)).Abs() < age
}

// refresh returns the load under way or the latest one; or begins another, if it
// is older than that.
func (s *keySource) refresh(now time.Time, age time.Duration) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && (!s.latest.over() || s.recent(now, age)) {
		return s.latest
	}
	f := &flight{landed: make(chan struct{})}
	if s.closed {
		f.err = errClosed
		close(f.landed)
		return f
	}
	s.latest = f
	s.began.Store(now.UnixMilli())
	s.loads.Go(func() { s.fly(f) })
	return f
}

// fly does not end with the request that asked: one who leaves at once would use
// up everybody's load.
func (s *keySource) fly(f *flight) {
	defer close(f.landed)
	ctx, cancel := context.WithTimeout(s.life, loadTimeout)
	defer cancel()
	keys, err := s.load(ctx)
	if err == nil {
		s.keys.Store(keys)
	}
	f.err = err
	if before := s.failed.Swap(err != nil); err != nil && !before {
		s.log.Warn("an issuer's keys could not be loaded; those at hand stay in use", "cause", err)
	} else if err == nil && before {
		s.log.Info("an issuer's keys could be loaded again")
	}
}

// close ends a load under way and waits for it. It may be called twice.
func (s *keySource) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.loads.Wait()
}

func (f *flight) over() bool {
	select {
	case <-f.landed:
		return true
	default:
		return false
	}
}

// wait returns the load's error, or the context's.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
