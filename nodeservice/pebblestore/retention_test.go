package pebblestore

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	ns "github.com/quicproquo/node/nodeservice"
)

// directorySize is what the files in a directory take.
func directorySize(t testing.TB, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil // Pebble took it away meanwhile
		}
		bytes += info.Size()
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes
}

// fill stores payloads of a size in many queues, until there are so many bytes.
func fill(t testing.TB, s *Store, total int64, size int) []ns.Queue {
	t.Helper()
	queues := make([]ns.Queue, 16)
	for i := range queues {
		queues[i] = channelTo(t, s, byte(i))
	}
	var done sync.WaitGroup
	for _, q := range queues {
		done.Go(func() {
			for left := total / int64(len(queues)); left > 0; left -= int64(size) {
				send(t, s, q, make([]byte, size))
			}
		})
	}
	done.Wait()
	return queues
}

// emptied fills a store, acknowledges all, sweeps, and reports the size of the
// directory before and after. Pebble removes files in the background, at a pace;
// Close waits for it.
func emptied(t testing.TB, opts Options, total int64, size int) (full, left int64) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	queues := fill(t, s, total, size)
	full = directorySize(t, dir)
	for _, q := range queues {
		if _, err := s.Ack(t.Context(), ns.Ack{Queue: q, Through: page(t, s, q).Head, Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		if _, more, err = s.Sweep(t.Context(), testNow); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return full, directorySize(t, dir)
}

// What was acknowledged gives its room back to the disk: in small messages, which
// are in tables, and in large ones, which are files.
func TestAcknowledgedSpaceReturnsToTheDisk(t *testing.T) {
	for _, size := range []int{16 << 10, 300 << 10} {
		full, left := emptied(t, Options{MemTableBytes: 1 << 20}, 64<<20, size)
		if full < 60<<20 || left > full/10 {
			t.Errorf("payloads of %d bytes: %d MiB, and %d MiB after all were acknowledged", size, full>>20, left>>20)
		}
	}
}

// BenchmarkSpaceReturns is the same with 1 GiB: run it with -benchtime 1x.
func BenchmarkSpaceReturns(b *testing.B) {
	for _, size := range []int{16 << 10, 1 << 20} {
		b.Run("payload="+strconv.Itoa(size), func(b *testing.B) {
			for b.Loop() {
				full, left := emptied(b, Options{}, 1<<30, size)
				b.ReportMetric(float64(full)/(1<<20), "MiB-full")
				b.ReportMetric(float64(left)/(1<<20), "MiB-left")
			}
		})
	}
}

// BenchmarkAppendBesideSweep takes the time of appends, a queue at a time, while
// nothing else happens, and while a million expired messages are swept.
func BenchmarkAppendBesideSweep(b *testing.B) {
	const queues, each = 200, 5000
	for b.Loop() {
		s := openBench(b)
		var done sync.WaitGroup
		for i := range 64 {
			done.Go(func() {
				for n := i; n < queues; n += 64 {
					q := manyChannels(b, s, n)
					for range each {
						send(b, s, q, make([]byte, 100))
					}
				}
			})
		}
		done.Wait()
		live := manyChannels(b, s, queues)
		stop := make(chan struct{})
		alone := appendTimes(b, s, live, after1000)
		var swept int
		begun := time.Now()
		done.Go(func() {
			defer close(stop)
			for more := true; more; {
				got, again, err := s.Sweep(b.Context(), testNow+1000)
				if err != nil {
					b.Error(err)
					return
				}
				swept, more = swept+got.Messages, again
			}
			b.ReportMetric(time.Since(begun).Seconds(), "s-sweep")
		})
		beside := appendTimes(b, s, live, func(int) bool {
			select {
			case <-stop:
				return false
			default:
				return true
			}
		})
		done.Wait()
		if swept != queues*each {
			b.Errorf("%d messages were swept", swept)
		}
		b.ReportMetric(percentile(alone, 99), "ms-p99-alone")
		b.ReportMetric(percentile(beside, 99), "ms-p99-beside")
		b.ReportMetric(percentile(beside, 100), "ms-max-beside")
		b.ReportMetric(float64(len(beside)), "appends-beside")
		_ = s.Close()
	}
}

func manyChannels(b *testing.B, s *Store, n int) ns.Queue {
	id := ns.ChannelID{1, byte(n >> 8), byte(n)}
	_, err := s.CreateChannel(b.Context(), ns.CreateChannel{ID: id, Creator: person(1), Peer: numbered(n), Now: testNow})
	if err != nil {
		b.Fatal(err)
	}
	return ns.Queue{Channel: id, Recipient: numbered(n)}
}

func after1000(n int) bool { return n < 1000 }

// appendTimes appends while more says so.
func appendTimes(b *testing.B, s *Store, q ns.Queue, more func(n int) bool) (times []time.Duration) {
	for n := 0; more(n); n++ {
		begun := time.Now()
		req := note(q, make([]byte, 1000))
		req.ExpiresAt = testNow + 1e9
		if got, err := s.Append(b.Context(), req); err != nil || got.Outcome != ns.AppendStored {
			b.Fatalf("append: %+v, %v", got, err)
		}
		times = append(times, time.Since(begun))
	}
	return times
}

// percentile is in milliseconds.
func percentile(times []time.Duration, p int) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.SortFunc(times, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	return float64(times[min(len(times)*p/100, len(times)-1)]) / float64(time.Millisecond)
}
