package node_test

import (
	"bytes"
	"crypto/sha256"
	"net"
	"strings"
	"time"

	"capnproto.org/go/capnp/v3/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/schema"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

// bootstrap is a raw connection to the native door.
func bootstrap(w *nodetest.World) *rpc.Conn {
	conn, err := net.Dial("tcp", w.Addr())
	if err != nil {
		w.T.Fatal(err)
	}
	client := rpc.NewConn(rpc.NewStreamTransport(conn), nil)
	w.T.Cleanup(func() { _ = client.Close() }) // tells that the peer is gone, if it is
	return client
}

func check(w *nodetest.World, err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func refusesNewerVersion(w *nodetest.World) {
	node := schema.NodeService(bootstrap(w).Bootstrap(w.Ctx))
	defer node.Release()
	check(w, node.Resolve(w.Ctx))
	alice := w.Actor()
	for _, version := range []uint16{schema.Version + 1, 99, 1<<16 - 1} {
		future, release := node.Enqueue(w.Ctx, func(p schema.NodeService_enqueue_Params) error {
			p.SetVersion(version)
			auth, err := p.NewAuth()
			if err != nil {
				return err
			}
			return auth.SetAccessToken([]byte(alice.Token))
		})
		results, err := future.Struct()
		check(w, err)
		refusal, err := results.Error()
		check(w, err)
		if refusal.Code() != schema.NodeError_Code_unsupportedVersion || refusal.MinVersion() != 0 || refusal.MaxVersion() != schema.Version {
			w.T.Errorf("version %d: %v, range %d to %d", version, refusal.Code(), refusal.MinVersion(), refusal.MaxVersion())
		}
		release()
	}
	future, release := node.Info(w.Ctx, func(p schema.NodeService_info_Params) error { p.SetVersion(schema.Version); return nil })
	defer release()
	results, err := future.Struct()
	check(w, err)
	if results.HasError() {
		w.T.Error("after a refused version the connection is of no use")
	}
}

// answersByVersion fetches the same queue of before channels in both versions:
// version 0 last, since it drains whatever it says.
func answersByVersion(w *nodetest.World) {
	node := schema.NodeService(bootstrap(w).Bootstrap(w.Ctx))
	defer node.Release()
	check(w, node.Resolve(w.Ctx))
	alice, bob := w.Actor(), w.Actor()
	_, err := alice.Session.Enqueue(w.Ctx, nodeservice.EnqueueRequest{Legacy: true, Recipient: bob.ID, Payload: []byte("hello")})
	check(w, err)
	for _, want := range []struct {
		version            uint16
		payloads, messages int
	}{{1, 0, 1}, {0, 1, 0}} {
		version := want.version
		future, release := node.Fetch(w.Ctx, func(p schema.NodeService_fetch_Params) error {
			p.SetVersion(version)
			p.SetKeep(true)
			if err := p.SetRecipientKey(bob.ID.Bytes()); err != nil {
				return err
			}
			auth, err := p.NewAuth()
			if err != nil {
				return err
			}
			return auth.SetAccessToken([]byte(bob.Token))
		})
		results, err := future.Struct()
		check(w, err)
		payloads, err := results.Payloads()
		check(w, err)
		page, err := results.Page()
		check(w, err)
		messages, err := page.Messages()
		check(w, err)
		if payloads.Len() != want.payloads || messages.Len() != want.messages {
			w.T.Errorf("version %d: %d payloads and %d messages", version, payloads.Len(), messages.Len())
		}
		release()
	}
}

// oldClient is a client of the frozen schema; what it knows is all it can do.
type oldClient struct {
	w    *nodetest.World
	node schema0.NodeService
	who  *nodetest.Actor
}

func newOldClient(w *nodetest.World) *oldClient {
	node := schema0.NodeService(bootstrap(w).Bootstrap(w.Ctx))
	w.T.Cleanup(node.Release)
	check(w, node.Resolve(w.Ctx))
	return &oldClient{w, node, w.Actor()}
}

func authorize(newAuth func() (schema0.Auth, error), token string) error {
	auth, err := newAuth()
	if err != nil {
		return err
	}
	return auth.SetAccessToken([]byte(token))
}

func (c *oldClient) enqueue(to nodeservice.Identity, payload, token string) error {
	future, release := c.node.Enqueue(c.w.Ctx, func(p schema0.NodeService_enqueue_Params) error {
		if err := p.SetRecipientKey(to.Bytes()); err != nil {
			return err
		}
		if err := p.SetPayload([]byte(payload)); err != nil {
			return err
		}
		return authorize(p.NewAuth, token)
	})
	defer release()
	_, err := future.Struct()
	return err
}

func (c *oldClient) fetchWait(timeout time.Duration) (payloads []string) {
	c.w.T.Helper()
	future, release := c.node.FetchWait(c.w.Ctx, func(p schema0.NodeService_fetchWait_Params) error {
		p.SetTimeoutMs(uint64(timeout.Milliseconds()))
		if err := p.SetRecipientKey(c.who.ID.Bytes()); err != nil {
			return err
		}
		return authorize(p.NewAuth, c.who.Token)
	})
	defer release()
	results, err := future.Struct()
	check(c.w, err)
	list, err := results.Payloads()
	check(c.w, err)
	for i := range list.Len() {
		payload, err := list.At(i)
		check(c.w, err)
		payloads = append(payloads, string(payload))
	}
	return payloads
}

func servesVersion0(w *nodetest.World) {
	alice, bob := newOldClient(w), newOldClient(w)
	for _, payload := range []string{"first", "second"} {
		check(w, alice.enqueue(bob.who.ID, payload, alice.who.Token))
	}
	if got := strings.Join(bob.fetchWait(time.Minute), ","); got != "first,second" {
		w.T.Errorf("got %q", got)
	}
	if got := bob.fetchWait(10 * time.Millisecond); len(got) != 0 {
		w.T.Errorf("what was fetched came again: %q", got)
	}
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

func (c *oldClient) upload(data []byte) (fingerprint []byte, err error) {
	future, release := c.node.UploadKeyPackage(c.w.Ctx, func(p schema0.NodeService_uploadKeyPackage_Params) error {
		if err := p.SetIdentityKey(c.who.ID.Bytes()); err != nil {
			return err
		}
		if err := p.SetPackage(data); err != nil {
			return err
		}
		return authorize(p.NewAuth, c.who.Token)
	})
	defer release()
	results, err := future.Struct()
	if err != nil {
		return nil, err
	}
	fingerprint, err = results.Fingerprint()
	return bytes.Clone(fingerprint), err
}

func (c *oldClient) claim(owner nodeservice.Identity) (data []byte, err error) {
	future, release := c.node.FetchKeyPackage(c.w.Ctx, func(p schema0.NodeService_fetchKeyPackage_Params) error {
		if err := p.SetIdentityKey(owner.Bytes()); err != nil {
			return err
		}
		return authorize(p.NewAuth, c.who.Token)
	})
	defer release()
	results, err := future.Struct()
	if err != nil {
		return nil, err
	}
	data, err = results.Package()
	return bytes.Clone(data), err
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
