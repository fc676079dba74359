package storetest

import (
	"bytes"
	"fmt"

	"github.com/quicproquo/node/nodeservice"
)

var payloadPromises = []promise{
	{"payloads of every size come back byte for byte", (*fixture).payloadSizes},
	{"large payloads in one queue are read in pages", (*fixture).largePages},
	{"large payloads of many at once are stored", (*fixture).largeAtOnce},
	{"large payloads are gone once acknowledged", (*fixture).largeAcknowledged},
	{"results and arguments belong to the caller", (*fixture).bytesBelongToCaller},
}

// largest is the greatest payload that the product knows.
const largest = 5 << 20

// delivers insists on the one message of a queue behind a cursor.
func (f *fixture) delivers(q nodeservice.Queue, seq nodeservice.Seq, want []byte) {
	f.Helper()
	page := f.readPage(nodeservice.Read{Queue: q, After: seq - 1, Limit: 1, MaxBytes: 1})
	if len(page.Messages) != 1 || page.Messages[0].Seq != seq {
		f.Fatalf("seq %d is not in its queue: %v", seq, seqs(page.Messages))
	}
	if got := page.Messages[0].Payload; !bytes.Equal(got, want) {
		f.Errorf("seq %d: a payload of %d bytes came back as %d other bytes", seq, len(want), len(got))
	}
}

func (f *fixture) payloadSizes() {
	_, _, bobs := f.pair()
	legacy := f.legacy()
	sizes := []int{1, 2, 255, 1 << 10, 4<<10 - 1, 4 << 10, 16<<10 + 1, 32 << 10,
		64<<10 - 1, 64 << 10, 64<<10 + 1, 65_000, 66_000, 128 << 10, 256<<10 + 1, 1 << 20, largest}
	stored := map[nodeservice.Seq][]byte{}
	for _, size := range sizes {
		body := payload(size, f.number())
		seq := f.stored(f.note(bobs, body))
		f.same("seq in the legacy queue", f.stored(f.note(legacy, body)), seq)
		stored[seq] = body
	}
	for _, settle := range []func(){func() {}, f.crash, func() { f.sweep() }, f.crash} {
		settle()
		for seq, body := range stored {
			f.delivers(bobs, seq, body)
			f.delivers(legacy, seq, body)
		}
	}
}

func (f *fixture) largePages() {
	_, _, bobs := f.pair()
	const size = 1 << 20
	for range 5 {
		f.stored(f.note(bobs, payload(size, f.number())))
	}
	f.page(bobs, 0, everything, 3*size-1, true, 1, 2)
	f.page(bobs, 0, everything, 3*size, true, 1, 2, 3)
	f.page(bobs, 3, everything, 3*size, false, 4, 5)
	f.page(bobs, 0, 1, 3*size, true, 1)
}

func (f *fixture) largeAtOnce() {
	_, _, bobs := f.pair()
	const writers = 8
	bodies := make([][]byte, writers)
	at := make([]nodeservice.Seq, writers)
	atOnce(writers, func(i int) {
		bodies[i] = payload(100<<10*(i+1), f.number())
		at[i] = f.stored(f.note(bobs, bodies[i]))
	})
	f.crash()
	for i, body := range bodies {
		f.delivers(bobs, at[i], body)
	}
	f.holds(bobs, 1, 2, 3, 4, 5, 6, 7, 8)
}

func (f *fixture) largeAcknowledged() {
	_, _, bobs := f.pair()
	for range 2 {
		f.stored(f.note(bobs, payload(largest, f.number())))
	}
	f.ack(bobs, 1)
	f.crash()
	f.holds(bobs, 2)
	f.ack(bobs, 2)
	f.sweep()
	f.crash()
	f.holds(bobs)
	short := f.note(bobs, payload(1<<20, f.number()))
	f.stored(short)
	f.now += week
	f.holds(bobs)
	f.sweep()
	f.crash()
	f.same("floor", f.holds(bobs).Floor, nodeservice.Seq(3))
}

func (f *fixture) bytesBelongToCaller() {
	_, _, bobs := f.pair()
	for _, size := range []int{100, 100 << 10} {
		body := payload(size, f.number())
		req := f.note(bobs, bytes.Clone(body))
		seq := f.stored(req)
		clear(req.Payload)
		for range 2 { // what was read is no view of what is stored
			f.delivers(bobs, seq, body)
			clear(f.readPage(nodeservice.Read{Queue: bobs, After: seq - 1, Limit: 1}).Messages[0].Payload)
		}
	}
	first := f.readPage(nodeservice.Read{Queue: bobs, Limit: 1, MaxBytes: everything}).Messages[0]
	kept := fmt.Sprintf("%x", first.Payload)
	f.ack(bobs, 2)
	f.sweep()
	for range 20 {
		f.send(bobs)
	}
	f.same("a payload read before it was acknowledged", fmt.Sprintf("%x", first.Payload), kept)
	f.keyPackagesBelongToCaller()
}

func (f *fixture) keyPackagesBelongToCaller() {
	owner, claimer := f.someone(), f.someone()
	batch := f.packages(1, suite1)
	data := bytes.Clone(batch[0].Data)
	f.put(nodeservice.PutKeyPackages{Owner: owner, Packages: batch, LastResort: true})
	clear(batch[0].Data)
	req := nodeservice.ClaimKeyPackageRequest{Owner: owner, Claimer: claimer, ClaimID: "id", ClaimUntil: f.now + hour}
	for range 3 { // the first answer, and the remembered one
		got := f.claim(req)
		f.same("the package", got.KeyPackage.Data, data)
		clear(got.KeyPackage.Data)
	}
}
