package node_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/nodetest"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

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

func (c *oldClient) fetch() (payloads []string, err error) {
	future, release := c.node.Fetch(c.w.Ctx, func(p schema0.NodeService_fetch_Params) error {
		if err := p.SetRecipientKey(c.who.ID.Bytes()); err != nil {
			return err
		}
		return authorize(p.NewAuth, c.who.Token)
	})
	defer release()
	results, err := future.Struct()
	if err != nil {
		return nil, err
	}
	return texts(results.Payloads())
}

func (c *oldClient) fetchWait(timeout time.Duration) (payloads []string, err error) {
	future, release := c.node.FetchWait(c.w.Ctx, func(p schema0.NodeService_fetchWait_Params) error {
		p.SetTimeoutMs(uint64(timeout.Milliseconds()))
		if err := p.SetRecipientKey(c.who.ID.Bytes()); err != nil {
			return err
		}
		return authorize(p.NewAuth, c.who.Token)
	})
	defer release()
	results, err := future.Struct()
	if err != nil {
		return nil, err
	}
	return texts(results.Payloads())
}

func texts(list capnp.DataList, err error) (payloads []string, _ error) {
	if err != nil {
		return nil, err
	}
	for i := range list.Len() {
		payload, err := list.At(i)
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, string(payload))
	}
	return payloads, nil
}

// got fails the test unless a fetch returned these payloads.
func (c *oldClient) got(want ...string) func([]string, error) {
	c.w.T.Helper()
	return func(payloads []string, err error) {
		c.w.T.Helper()
		check(c.w, err)
		if strings.Join(payloads, ",") != strings.Join(want, ",") {
			c.w.T.Errorf("got %q, want %q", payloads, want)
		}
	}
}

// on is the same identity on another connection.
func (c *oldClient) on(another *oldClient) *oldClient {
	return &oldClient{c.w, another.node, c.who}
}

// sendMany stores messages from as many senders as it takes, and returns their
// payloads in order.
func (c *oldClient) sendMany(n int) (payloads []string) {
	c.w.T.Helper()
	var sender *oldClient
	for i := range n {
		if i%nodeservice.DefaultQuotas().ShareMessages == 0 {
			sender = newOldClient(c.w)
		}
		payloads = append(payloads, fmt.Sprint("message ", i))
		check(c.w, sender.enqueue(c.who.ID, payloads[i], sender.who.Token))
	}
	return payloads
}

// drain fetches until nothing comes, and counts the pages.
func (c *oldClient) drain() (payloads []string, pages int, _ error) {
	for ; ; pages++ {
		page, err := c.fetch()
		if err != nil || len(page) == 0 {
			return payloads, pages, err
		}
		payloads = append(payloads, page...)
	}
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
