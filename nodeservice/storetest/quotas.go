package storetest

import "github.com/quicproquo/node/nodeservice"

var quotaPromises = []promise{
	{"a queue holds so many messages and bytes", (*fixture).queueBounded},
	{"expired messages do not count in a queue", (*fixture).expiredFreeQueue},
	{"an account's bytes count in all queues", (*fixture).accountBytes},
	{"an account's bytes are released by acknowledgement", (*fixture).ackFreesAccount},
	{"an account's bytes are released by expiry", (*fixture).expiryFreesAccount},
	{"an account has a share of a legacy queue", (*fixture).legacyShares},
	{"a quota holds against many at once", (*fixture).quotaAtOnce},
	{"a quota of bytes is exact against many at once", (*fixture).byteQuotaAtOnce},
	{"a share of a legacy queue is exact against many at once", (*fixture).shareAtOnce},
	{"a quota is exact among appends, acknowledgements and expiry at once", (*fixture).quotaAmongAcks},
}

// weigh appends n bytes under a quota.
func (f *fixture) weigh(to nodeservice.Queue, from nodeservice.Account, n int, quota nodeservice.AppendQuota) nodeservice.AppendOutcome {
	f.Helper()
	req := f.note(to, payload(n, f.number()))
	req.Account, req.Quota = from, quota
	return f.append(req).Outcome
}

// weighs is weigh, and insists on the outcome.
func (f *fixture) weighs(to nodeservice.Queue, from nodeservice.Account, n int, quota nodeservice.AppendQuota, want nodeservice.AppendOutcome) {
	f.Helper()
	f.same("outcome", f.weigh(to, from, n, quota), want)
}

func (f *fixture) queueBounded() {
	_, alices, bobs := f.pair()
	for _, q := range []nodeservice.Queue{bobs, f.legacy()} {
		messages := nodeservice.AppendQuota{QueueMessages: 2}
		bytes := nodeservice.AppendQuota{QueueBytes: 20}
		f.weighs(q, accountInto(q), 21, bytes, nodeservice.AppendQueueFull)
		f.weighs(q, accountInto(q), 10, messages, nodeservice.AppendStored)
		f.weighs(q, nodeservice.Account{9}, 10, messages, nodeservice.AppendStored)
		f.weighs(q, accountInto(q), 1, messages, nodeservice.AppendQueueFull)
		f.crash()
		f.weighs(q, accountInto(q), 1, messages, nodeservice.AppendQueueFull)
		f.weighs(q, accountInto(q), 1, bytes, nodeservice.AppendQueueFull)
		f.weighs(alices, accountInto(alices), 1, messages, nodeservice.AppendStored) // the other direction
		f.ack(alices, f.read(alices).Head)
		f.ack(q, 1)
		f.weighs(q, accountInto(q), 11, bytes, nodeservice.AppendQueueFull)
		f.weighs(q, accountInto(q), 10, bytes, nodeservice.AppendStored)
		f.weighs(q, accountInto(q), 1000, nodeservice.AppendQuota{}, nodeservice.AppendStored)
	}
}

func (f *fixture) expiredFreeQueue() {
	_, _, bobs := f.pair()
	quota := nodeservice.AppendQuota{QueueMessages: 2, QueueBytes: 20}
	for _, q := range []nodeservice.Queue{bobs, f.legacy()} {
		f.weighs(q, accountInto(q), 10, quota, nodeservice.AppendStored)
		f.now += hour
		f.weighs(q, accountInto(q), 10, quota, nodeservice.AppendStored)
		f.now += week - hour - 1
		f.weighs(q, accountInto(q), 10, quota, nodeservice.AppendQueueFull)
		f.now++ // the first has expired; nothing was swept
		f.weighs(q, accountInto(q), 11, quota, nodeservice.AppendQueueFull)
		f.weighs(q, accountInto(q), 10, quota, nodeservice.AppendStored)
		f.sweep()
		f.weighs(q, accountInto(q), 1, quota, nodeservice.AppendQueueFull)
		f.crash()
		f.weighs(q, accountInto(q), 1, quota, nodeservice.AppendQueueFull)
	}
}

func (f *fixture) accountBytes() {
	_, alices, bobs := f.pair()
	_, _, carols := f.pair()
	legacy := f.legacy()
	sender, quota := nodeservice.Account{1}, nodeservice.AppendQuota{AccountBytes: 100}
	f.weighs(bobs, sender, 101, quota, nodeservice.AppendOverQuota)
	f.weighs(bobs, sender, 40, quota, nodeservice.AppendStored)
	f.weighs(carols, sender, 30, quota, nodeservice.AppendStored)
	f.weighs(legacy, sender, 20, quota, nodeservice.AppendStored)
	f.crash()
	for _, q := range []nodeservice.Queue{bobs, carols, legacy, f.legacy()} {
		f.weighs(q, sender, 11, quota, nodeservice.AppendOverQuota)
	}
	f.weighs(alices, nodeservice.Account{2}, 100, quota, nodeservice.AppendStored)
	f.weighs(legacy, nodeservice.Account{3}, 100, quota, nodeservice.AppendStored)
	f.weighs(f.legacy(), sender, 10, quota, nodeservice.AppendStored)
	f.weighs(bobs, sender, 1, quota, nodeservice.AppendOverQuota)
}

func (f *fixture) ackFreesAccount() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	sender, quota := nodeservice.Account{1}, nodeservice.AppendQuota{AccountBytes: 100}
	for round := range 3 {
		for _, q := range []nodeservice.Queue{bobs, legacy} {
			f.weighs(q, sender, 30, quota, nodeservice.AppendStored)
			f.weighs(q, sender, 20, quota, nodeservice.AppendStored)
		}
		f.weighs(bobs, sender, 1, quota, nodeservice.AppendOverQuota)
		f.ack(legacy, f.read(legacy).Messages[0].Seq) // 30 of 100
		f.weighs(bobs, sender, 31, quota, nodeservice.AppendOverQuota)
		f.weighs(bobs, sender, 30, quota, nodeservice.AppendStored)
		f.weighs(bobs, sender, 1, quota, nodeservice.AppendOverQuota)
		f.ack(bobs, f.read(bobs).Head)
		f.ack(bobs, f.read(bobs).Head) // releases nothing twice
		f.ack(legacy, f.read(legacy).Head)
		f.weighs(bobs, sender, 101, quota, nodeservice.AppendOverQuota)
		if round == 1 {
			f.crash()
		}
	}
}

// expiryFreesAccount lets messages expire in every way in which an engine could
// count them wrong: unswept, swept, acknowledged after they expired.
func (f *fixture) expiryFreesAccount() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	sender, quota := nodeservice.Account{1}, nodeservice.AppendQuota{AccountBytes: 100}
	leave := []func(){
		func() {},
		func() { f.sweep() },
		func() { f.ack(bobs, f.read(bobs).Head) },
		func() { f.crash() },
		func() { f.ack(legacy, f.read(legacy).Head); f.sweep(); f.crash() },
	}
	for _, settle := range leave {
		f.weighs(bobs, sender, 60, quota, nodeservice.AppendStored)
		f.weighs(legacy, sender, 40, quota, nodeservice.AppendStored)
		f.now += week - 1
		f.weighs(bobs, sender, 1, quota, nodeservice.AppendOverQuota)
		f.now++
		settle()
		f.weighs(bobs, sender, 101, quota, nodeservice.AppendOverQuota)
		f.weighs(bobs, sender, 100, quota, nodeservice.AppendStored)
		f.sweep()
		f.weighs(legacy, sender, 1, quota, nodeservice.AppendOverQuota)
		f.now += week
		f.sweep()
	}
}

func (f *fixture) legacyShares() {
	legacy, other := f.legacy(), f.legacy()
	one, two := nodeservice.Account{1}, nodeservice.Account{2}
	messages, bytes := nodeservice.AppendQuota{ShareMessages: 2}, nodeservice.AppendQuota{ShareBytes: 20}
	f.weighs(legacy, one, 21, bytes, nodeservice.AppendOverQuota)
	f.weighs(legacy, one, 10, messages, nodeservice.AppendStored)
	f.weighs(legacy, one, 10, messages, nodeservice.AppendStored)
	f.crash()
	f.weighs(legacy, one, 1, messages, nodeservice.AppendOverQuota)
	f.weighs(legacy, one, 1, bytes, nodeservice.AppendOverQuota)
	f.weighs(legacy, two, 20, bytes, nodeservice.AppendStored) // seq 3
	f.weighs(other, one, 20, bytes, nodeservice.AppendStored)
	f.ack(legacy, 1)
	f.weighs(legacy, one, 11, bytes, nodeservice.AppendOverQuota)
	f.now += hour
	f.weighs(legacy, one, 10, bytes, nodeservice.AppendStored)
	f.weighs(legacy, one, 1, messages, nodeservice.AppendOverQuota)
	f.now += week - hour // all but the last have expired
	f.weighs(legacy, one, 10, bytes, nodeservice.AppendStored)
	f.weighs(legacy, one, 1, messages, nodeservice.AppendOverQuota)
	f.weighs(legacy, two, 20, bytes, nodeservice.AppendStored)
	f.sweep()
	f.weighs(legacy, one, 1, bytes, nodeservice.AppendOverQuota)
}

func (f *fixture) quotaAtOnce() {
	_, alices, bobs := f.pair()
	sender := nodeservice.Account{1}
	quota := nodeservice.AppendQuota{QueueMessages: 4, AccountBytes: 70}
	outcomes := make([]nodeservice.AppendOutcome, 24)
	atOnce(len(outcomes), func(i int) {
		outcomes[i] = f.weigh([]nodeservice.Queue{alices, bobs}[i%2], sender, 10, quota)
	})
	stored := 0
	for _, o := range outcomes {
		if o == nodeservice.AppendStored {
			stored++
		}
	}
	f.same("messages stored", stored, 7)
}
