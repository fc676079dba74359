package redisstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// BenchmarkHints gives hints at one node until all others have heard all of them,
// and tells what Redis spent on each.
func BenchmarkHints(b *testing.B) {
	for _, nodes := range []int{2, 5, 17} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			client := connected(b, redistest.Start(b).URL())
			speaker := openBus(b, client)
			var heard atomic.Int64
			for range nodes - 1 {
				s := openBus(b, client).Subscribe(someone, func(nodeservice.Hint) bool { heard.Add(1); return false })
				b.Cleanup(s.Close)
			}
			spent := serverTime(b, client)
			given := int64(0)
			for b.Loop() {
				given++
				h := nodeservice.Hint{Owner: someone, Kind: nodeservice.HintQueue}
				binary.BigEndian.PutUint64(h.Channel[:], uint64(given))
				speaker.Hint(h)
				for given-heard.Load()/int64(nodes-1) > maxPending/2 {
					time.Sleep(100 * time.Microsecond) // not faster than they hear
				}
			}
			for heard.Load() < given*int64(nodes-1) {
				time.Sleep(100 * time.Microsecond)
			}
			b.ReportMetric(float64((serverTime(b, client)-spent).Nanoseconds())/float64(given), "redis-ns/hint")
		})
	}
}

// serverTime is the processor time that the server has used.
func serverTime(b *testing.B, client *Client) (used time.Duration) {
	b.Helper()
	text, err := client.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(parseInfo(text)[name], 64)
		if err != nil {
			b.Fatal(err)
		}
		used += time.Duration(seconds * float64(time.Second))
	}
	return used
}
