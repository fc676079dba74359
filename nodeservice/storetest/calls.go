package storetest

import (
	"crypto/sha256"

	"github.com/quicproquo/node/nodeservice"
)

// create asks for the channel of two, with an id that is fresh.
func (f *fixture) create(creator, peer nodeservice.Identity) nodeservice.CreatedChannel {
	f.Helper()
	return f.createBounded(creator, peer, 0)
}

func (f *fixture) createBounded(creator, peer nodeservice.Identity, most int) nodeservice.CreatedChannel {
	f.Helper()
	id := channelID(f.number())
	created, err := f.store.CreateChannel(f.ctx, nodeservice.CreateChannel{
		ID: id, Creator: creator, Peer: peer, Account: account(creator), Now: f.now, MaxChannels: most,
	})
	f.mu.Lock()
	f.channels = append(f.channels, id)
	f.mu.Unlock()
	return must(f, created, err)
}

// pair is a new channel of two new identities, and the queue of each.
func (f *fixture) pair() (id nodeservice.ChannelID, alices, bobs nodeservice.Queue) {
	f.Helper()
	alice, bob := f.someone(), f.someone()
	id = f.create(alice, bob).State.Channel.ID
	return id, nodeservice.Queue{Channel: id, Recipient: alice}, nodeservice.Queue{Channel: id, Recipient: bob}
}

// legacy is the legacy queue of a new identity.
func (f *fixture) legacy() nodeservice.Queue {
	f.Helper()
	return nodeservice.Queue{Recipient: f.someone()}
}

func (f *fixture) state(id nodeservice.ChannelID, viewer nodeservice.Identity) (nodeservice.ChannelState, bool) {
	f.Helper()
	state, found, err := f.store.ChannelState(f.ctx, id, viewer, f.now)
	return must(f, state, err), found
}

func (f *fixture) list(viewer nodeservice.Identity) []nodeservice.ChannelState {
	f.Helper()
	return f.listPage(viewer, 0, everything)
}

func (f *fixture) listPage(viewer nodeservice.Identity, after uint64, limit int) []nodeservice.ChannelState {
	f.Helper()
	states, err := f.store.Channels(f.ctx, viewer, after, limit, f.now)
	return orNil(must(f, states, err))
}

// note is a message as the suite sends it: a week to live, from an account that
// belongs to whoever writes to the queue.
func (f *fixture) note(to nodeservice.Queue, body []byte) nodeservice.Append {
	return nodeservice.Append{
		Queue:     to,
		Account:   accountInto(to),
		Payload:   body,
		Digest:    sha256.Sum256(body),
		Now:       f.now,
		ExpiresAt: f.now + week,
	}
}

func accountInto(q nodeservice.Queue) nodeservice.Account {
	digest := sha256.Sum256(append(q.Channel[:], q.Recipient.Raw()...))
	return nodeservice.Account(digest[:16])
}

func (f *fixture) append(req nodeservice.Append) nodeservice.Appended {
	f.Helper()
	appended, err := f.store.Append(f.ctx, req)
	return must(f, appended, err)
}

// send stores a small message and insists on it.
func (f *fixture) send(to nodeservice.Queue) nodeservice.Seq {
	f.Helper()
	return f.stored(f.note(to, payload(8, f.number())))
}

// sendFor is send with a time to live.
func (f *fixture) sendFor(to nodeservice.Queue, life nodeservice.UnixMilli) nodeservice.Seq {
	f.Helper()
	req := f.note(to, payload(8, f.number()))
	req.ExpiresAt = f.now + life
	return f.stored(req)
}

// stored appends and insists on it.
func (f *fixture) stored(req nodeservice.Append) nodeservice.Seq {
	f.Helper()
	appended := f.append(req)
	f.outcome(appended, nodeservice.AppendStored)
	return appended.Seq
}

func (f *fixture) outcome(got nodeservice.Appended, want nodeservice.AppendOutcome) {
	f.Helper()
	if got.Outcome != want {
		f.Fatalf("Append answered outcome %d, want %d: %+v", got.Outcome, want, got)
	}
}

// read reads a queue from its first message to its last.
func (f *fixture) read(q nodeservice.Queue) nodeservice.QueuePage {
	f.Helper()
	return f.readPage(nodeservice.Read{Queue: q, Limit: everything, MaxBytes: everything})
}

func (f *fixture) readPage(req nodeservice.Read) nodeservice.QueuePage {
	f.Helper()
	req.Now = f.now
	page, err := f.store.Read(f.ctx, req)
	page.Messages = orNil(page.Messages)
	return must(f, page, err)
}

// holds insists on the seqs of a queue's messages.
func (f *fixture) holds(q nodeservice.Queue, want ...nodeservice.Seq) nodeservice.QueuePage {
	f.Helper()
	page := f.read(q)
	f.same("seqs in the queue", seqs(page.Messages), want)
	return page
}

func (f *fixture) ack(q nodeservice.Queue, through nodeservice.Seq) nodeservice.Acked {
	f.Helper()
	acked, err := f.store.Ack(f.ctx, nodeservice.Ack{Queue: q, Through: through, Now: f.now})
	return must(f, acked, err)
}

// sweep sweeps until nothing is left, and adds up what it was told.
func (f *fixture) sweep() (all nodeservice.Swept) {
	f.Helper()
	for more := true; more; {
		var swept nodeservice.Swept
		var err error
		swept, more, err = f.store.Sweep(f.ctx, f.now)
		must(f, swept, err)
		all.Messages += swept.Messages
		all.MessageIDs += swept.MessageIDs
		all.KeyPackages += swept.KeyPackages
		all.Others += swept.Others
		all.Floors = append(all.Floors, swept.Floors...)
	}
	return all
}

func (f *fixture) put(req nodeservice.PutKeyPackages) nodeservice.PutOutcome {
	f.Helper()
	req.Now = f.now
	outcome, err := f.store.PutKeyPackages(f.ctx, req)
	return must(f, outcome, err)
}

func (f *fixture) claim(req nodeservice.ClaimKeyPackageRequest) nodeservice.ClaimedKeyPackage {
	f.Helper()
	req.Now = f.now
	if req.ClaimUntil == 0 {
		req.ClaimUntil = f.now + hour // means nothing without a claim id
	}
	claimed, err := f.store.ClaimKeyPackage(f.ctx, req)
	return must(f, claimed, err)
}

func (f *fixture) stock(owner nodeservice.Identity) []nodeservice.KeyPackageStock {
	f.Helper()
	stock, err := f.store.KeyPackageStock(f.ctx, owner, f.now)
	return orNil(must(f, stock, err))
}

func (f *fixture) spend(kind string, digest [32]byte, until nodeservice.UnixMilli) bool {
	f.Helper()
	first, err := f.store.Spend(f.ctx, kind, digest, until, f.now)
	return must(f, first, err)
}

func (f *fixture) revoke(r nodeservice.Revocation) {
	f.Helper()
	must(f, struct{}{}, f.store.Revoke(f.ctx, r))
}

// revocations are those in force, by what they void.
func (f *fixture) revocations() map[nodeservice.Revocation]bool {
	f.Helper()
	list, err := f.store.Revocations(f.ctx, f.now)
	must(f, list, err)
	inForce := map[nodeservice.Revocation]bool{}
	for _, r := range list {
		if inForce[r] {
			f.Errorf("a revocation is listed twice: %+v", r)
		}
		inForce[r] = true
	}
	return inForce
}

// accept is a pointer to a seq, for IfHead and IfAcked.
func accept(s nodeservice.Seq) *nodeservice.Seq { return &s }

// orNil makes one of the two spellings of "none".
func orNil[T any](all []T) []T {
	if len(all) == 0 {
		return nil
	}
	return all
}
