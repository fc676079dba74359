package node_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/nodetest"
)

// version0 is what clients built from the frozen schema rely on.
var version0 = []nodetest.Behaviour{
	{Name: "a client built from version 0 talks with another, draining as it expects",
		Needs: nodetest.Native, Run: servesVersion0},
	{Name: "a client built from version 0 drains page by page, in order, until nothing comes",
		Needs: nodetest.Native, Run: drainsByPages},
	{Name: "a client built from version 0 on two connections never gets a message twice",
		Needs: nodetest.Native, Run: drainsOnTwoConnections},
	{Name: "a client built from version 0 waits, and is woken by a message alone",
		Needs: nodetest.Native, Run: waitsAtVersion0},
	{Name: "a client built from version 0 talks with a client of today that names no channel",
		Needs: nodetest.Native, Run: meetsToday},
	{Name: "a client built from version 0 gets an exception for an error",
		Needs: nodetest.Native, Run: throwsAtVersion0},
	{Name: "a client built from version 0 exchanges key packages, of any lifetime",
		Needs: nodetest.Native, Run: exchangesAtVersion0},
}

func servesVersion0(w *nodetest.World) {
	alice, bob := newOldClient(w), newOldClient(w)
	for _, payload := range []string{"first", "second"} {
		check(w, alice.enqueue(bob.who.ID, payload, alice.who.Token))
	}
	bob.got("first", "second")(bob.fetchWait(time.Minute))
	bob.got()(bob.fetchWait(10 * time.Millisecond))
}

func drainsByPages(w *nodetest.World) {
	bob := newOldClient(w)
	sent := bob.sendMany(300)
	payloads, pages, err := bob.drain()
	bob.got(sent...)(payloads, err)
	if pages != 2 {
		w.T.Errorf("300 messages came in %d pages", pages)
	}
}

func drainsOnTwoConnections(w *nodetest.World) {
	bob := newOldClient(w)
	sent := bob.sendMany(300)
	readers := []*oldClient{bob, bob.on(newOldClient(w))}
	drained := make([][]string, len(readers))
	var group errgroup.Group
	for i, reader := range readers {
		group.Go(func() (err error) {
			drained[i], _, err = reader.drain()
			return err
		})
	}
	check(w, group.Wait())
	times := map[string]int{}
	for _, payload := range slices.Concat(drained...) {
		times[payload]++
	}
	for _, payload := range sent {
		if times[payload] != 1 {
			w.T.Errorf("%q came %d times", payload, times[payload])
		}
	}
	bob.got()(bob.fetch())
}

func waitsAtVersion0(w *nodetest.World) {
	alice, bob := newOldClient(w), newOldClient(w)
	var payloads []string
	var waiting errgroup.Group
	waiting.Go(func() (err error) {
		payloads, err = bob.fetchWait(time.Minute) // more than the test may take
		return err
	})
	check(w, alice.enqueue(alice.who.ID, "for another", alice.who.Token))
	check(w, alice.enqueue(bob.who.ID, "for bob", alice.who.Token))
	err := waiting.Wait()
	bob.got("for bob")(payloads, err)
}

func meetsToday(w *nodetest.World) {
	old, today := newOldClient(w), w.Actor()
	check(w, old.enqueue(today.ID, "from of old", old.who.Token))
	page, err := today.Session.Fetch(w.Ctx, nodeservice.FetchRequest{Legacy: true})
	check(w, err)
	if len(page.Messages) != 1 || string(page.Messages[0].Payload) != "from of old" {
		w.T.Errorf("today's client got %v", page.Messages)
	}
	_, err = today.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: old.who.ID, Payload: []byte("from today")})
	check(w, err)
	old.got("from today")(old.fetch())
}

func throwsAtVersion0(w *nodetest.World) {
	alice, bob := newOldClient(w), newOldClient(w)
	for what, err := range map[string]error{
		"payload": alice.enqueue(bob.who.ID, "", alice.who.Token),
		"token":   alice.enqueue(bob.who.ID, "hello", "garbage"),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			w.T.Errorf("the exception is %v, want one about the %s", err, what)
		}
	}
	check(w, alice.enqueue(bob.who.ID, "hello", alice.who.Token))
}

// exchangesAtVersion0 uses a lifetime that is refused from version 1 on.
func exchangesAtVersion0(w *nodetest.World) {
	alice, bob := newOldClient(w), newOldClient(w)
	now := w.Clock.Now()
	built, err := mls.KeyPackageTemplate{
		CipherSuite: mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, Signer: alice.who.Key.Signer(),
		Credential: []byte("alice"), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
	}.Build()
	check(w, err)
	_, err = alice.who.Session.UploadKeyPackages(w.Ctx, nodeservice.UploadRequest{Packages: [][]byte{built.Bytes}})
	if nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument {
		w.T.Errorf("version 1 uploads a lifetime of a year: %v", err)
	}
	fingerprint, err := alice.upload(built.Bytes)
	check(w, err)
	if want := sha256.Sum256(built.Bytes); !bytes.Equal(fingerprint, want[:]) {
		w.T.Error("the fingerprint is not the SHA-256 of what was uploaded")
	}
	data, err := bob.claim(alice.who.ID)
	check(w, err)
	if !bytes.Equal(data, built.Bytes) {
		w.T.Error("the claimed key package is not the one that was uploaded")
	}
	if _, err := bob.claim(alice.who.ID); err == nil || !strings.Contains(err.Error(), "key package") {
		w.T.Errorf("the exception is %v, want one about the key package", err)
	}
}
