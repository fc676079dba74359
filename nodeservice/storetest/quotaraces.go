package storetest

import "github.com/quicproquo/node/nodeservice"

// storedAtOnce counts how many of n appends at once to q are stored.
func (f *fixture) storedAtOnce(n int, q nodeservice.Queue, size int, quota nodeservice.AppendQuota) (stored int) {
	f.Helper()
	outcomes := make([]nodeservice.AppendOutcome, n)
	atOnce(n, func(i int) { outcomes[i] = f.weigh(q, accountInto(q), size, quota) })
	for _, o := range outcomes {
		if o == nodeservice.AppendStored {
			stored++
		}
	}
	return stored
}

// byteQuotaAtOnce includes payloads that an engine may keep elsewhere.
func (f *fixture) byteQuotaAtOnce() {
	_, alices, bobs := f.pair()
	for q, size := range map[nodeservice.Queue]int{alices: 10, bobs: 100 << 10} {
		quota := nodeservice.AppendQuota{QueueBytes: int64(size)*5 + int64(size)/2}
		f.same("messages stored", f.storedAtOnce(16, q, size, quota), 5)
		f.weighs(q, accountInto(q), size/2, quota, nodeservice.AppendStored)
		f.weighs(q, accountInto(q), 1, quota, nodeservice.AppendQueueFull)
		f.crash()
		f.weighs(q, accountInto(q), 1, quota, nodeservice.AppendQueueFull)
	}
}

func (f *fixture) shareAtOnce() {
	for _, quota := range []nodeservice.AppendQuota{{ShareMessages: 6}, {ShareBytes: 69}} {
		legacy := f.legacy()
		f.same("messages stored", f.storedAtOnce(20, legacy, 10, quota), 6)
		f.weighs(legacy, nodeservice.Account{9}, 10, quota, nodeservice.AppendStored)
	}
}

// quotaAmongAcks lets queues fill and empty at once in every way. Whatever came of
// it, afterwards exactly so many fit as the quota leaves.
func (f *fixture) quotaAmongAcks() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	quota := nodeservice.AppendQuota{QueueMessages: 6, QueueBytes: 60, AccountBytes: 90}
	for _, q := range []nodeservice.Queue{bobs, legacy} {
		for range 3 {
			atOnce(12, func(i int) {
				switch {
				case i%4 == 3:
					page := f.read(q)
					if n := len(page.Messages); n > 0 {
						f.ack(q, page.Messages[n/2].Seq)
					}
				case i%6 == 4:
					f.sweep()
				default:
					f.weigh(q, accountInto(q), 10, quota)
				}
			})
			held := len(f.read(q).Messages)
			f.same("messages that still fit", f.storedAtOnce(8, q, 10, quota), 6-held)
			f.now += week // in the next round they expire
		}
		f.now += week
		f.sweep()
	}
}
