package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// streamSet owns the goroutines of all open streams.
type streamSet struct {
	mu       sync.Mutex
	open     map[*stream]struct{} // guarded by mu; the core bounds an identity's streams
	draining bool                 // guarded by mu
	running  sync.WaitGroup       // Add only under mu, and not while draining
}

// start runs a stream, or with refused != nil tells its client why there is none.
// It takes the stream over: it is closed when start's goroutine ends.
func (set *streamSet) start(s *stream, refused error) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.draining {
		_ = s.conn.CloseNow()
		s.release()
		return
	}
	if set.open == nil {
		set.open = map[*stream]struct{}{}
	}
	set.open[s] = struct{}{}
	set.running.Go(func() {
		defer set.remove(s)
		defer s.release()
		if refused != nil {
			s.refuse(refused)
			return
		}
		s.run()
	})
}

func (set *streamSet) remove(s *stream) {
	set.mu.Lock()
	defer set.mu.Unlock()
	delete(set.open, s)
}

// shutdown asks all streams to end, in parallel, and waits. When ctx ends those
// that linger are cut off; then it is ctx's error.
func (set *streamSet) shutdown(ctx context.Context) error {
	set.each(func(s *stream) { s.stop(ending{websocket.StatusServiceRestart, "the node restarts", true}) })
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

// Shutdown ends all streams with a draining frame and close code 1012, sends
// waiting fetches home, refuses new streams, and waits for the old ones until ctx
// ends; what remains then is cut off. It may be called twice. Other requests are
// served on: they are the http.Server's to shut down, before or after.
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
