package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// streamSet knows all open streams, so that a shutdown ends them and waits.
type streamSet struct {
	mu       sync.Mutex
	open     map[*stream]struct{} // guarded by mu; the core bounds an identity's streams
	draining bool                 // guarded by mu
	running  sync.WaitGroup       // Add only under mu, and not while draining
}

// enter takes a stream in until it leaves; false: nobody is taken in any more.
func (set *streamSet) enter(s *stream) bool {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.draining {
		return false
	}
	if set.open == nil {
		set.open = map[*stream]struct{}{}
	}
	set.open[s] = struct{}{}
	set.running.Add(1)
	return true
}

// leave releases a stream that entered.
func (set *streamSet) leave(s *stream) {
	s.release()
	set.mu.Lock()
	defer set.mu.Unlock()
	delete(set.open, s)
	set.running.Done()
}

// start runs a socket in a goroutine of the set, or with refused != nil tells its
// client why there is no stream. It takes the socket over.
func (set *streamSet) start(s *socket, refused error) {
	if !set.enter(s.stream) {
		_ = s.conn.CloseNow()
		s.release()
		return
	}
	go func() {
		defer set.leave(s.stream)
		if refused != nil {
			s.refuse(refused)
			return
		}
		s.run()
	}()
}

// shutdown asks all streams to end, in parallel, and waits. When ctx ends those
// that linger are cut off; then it is ctx's error.
func (set *streamSet) shutdown(ctx context.Context) error {
	set.each(func(s *stream) { s.stop(restarting) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		set.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	set.each(func(s *stream) { s.cut() })
	<-done
	return ctx.Err()
}

func (set *streamSet) each(do func(*stream)) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.draining = true
	for s := range set.open {
		do(s)
	}
}

// comeBackAfter spreads the clients of a node that restarts.
func comeBackAfter() time.Duration {
	return time.Second + rand.N(4*time.Second)
}

// Shutdown refuses new streams and ends the open ones: with a draining frame and, on
// WebSockets, close code 1012 (service restart). It ends fetches that wait, too. It waits
// until the streams have ended; when ctx ends before, it cuts off what remains, and
// returns ctx's error. It may be called twice. Other requests are still served: they are
// the http.Server's to shut down, before or after.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.drain()
	return g.streams.shutdown(ctx)
}

// Close is Shutdown without patience.
func (g *Gateway) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.Shutdown(ctx)
	return nil
}
