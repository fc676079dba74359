package noderpc_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/noderpc"
	"github.com/quicproquo/node/nodeservice/storetest/model"
	"github.com/quicproquo/node/schema"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

// watchedStore tells of each acknowledgement, and can hold them up.
type watchedStore struct {
	nodeservice.Store

	mu      sync.Mutex
	changed sync.Cond
	acked   nodeservice.Seq // guarded by mu
	begun   int             // guarded by mu: acknowledgements that were asked for
	held    bool            // guarded by mu: they wait
}

func newWatchedStore() *watchedStore {
	s := &watchedStore{Store: model.New()}
	s.changed.L = &s.mu
	return s
}

func (s *watchedStore) Ack(ctx context.Context, req nodeservice.Ack) (nodeservice.Acked, error) {
	s.mu.Lock()
	s.begun++
	s.changed.Broadcast()
	for s.held {
		s.changed.Wait()
	}
	s.mu.Unlock()
	done, err := s.Store.Ack(ctx, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, done.Acked)
	s.changed.Broadcast()
	return done, err
}

// awaitAcked returns when the one queue of the test is acknowledged that far.
func (s *watchedStore) awaitAcked(through nodeservice.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.acked < through {
		s.changed.Wait()
	}
}

// hold makes acknowledgements wait, or lets them go on; awaitBegun returns when
// there has been another.
func (s *watchedStore) hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	s.changed.Broadcast()
}

func (s *watchedStore) awaitBegun(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.begun < n {
		s.changed.Wait()
	}
}

// post is a node with one recipient, whom clients of version 0 drain for.
type post struct {
	t       testing.TB
	store   *watchedStore
	node    *nodeservice.Service
	server  *noderpc.Server
	address string
	token   string
	bob     nodeservice.Session // no door between
	sent    int
}

func newPost(t testing.TB) *post {
	t.Helper()
	keys, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	p := &post{t: t, store: newWatchedStore()}
	p.node, err = nodeservice.New(nodeservice.Config{
		Store: p.store, Secret: bytes.Repeat([]byte{7}, 32), Keys: keys, PublicURL: "https://node.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.node.Close() })
	p.server, p.address = serve(t, p.node, noLimits)
	key, err := identity.GenerateKey(identity.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := p.node.Challenge(t.Context(), nodeservice.Origin{}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(identity.LoginMessage("https://node.example", key.Public(), challenge.Nonce))
	if err != nil {
		t.Fatal(err)
	}
	login, err := p.node.Login(t.Context(), nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: key.Public(), Nonce: challenge.Nonce, Signature: signature})
	if err != nil {
		t.Fatal(err)
	}
	p.token, p.bob = login.Token, login.Session
	return p
}

// send stores messages, numbered from 0, each of at least size bytes.
func (p *post) send(messages, size int) {
	p.t.Helper()
	for range messages {
		payload := fmt.Appendf(nil, "%06d", p.sent)
		payload = append(payload, make([]byte, max(0, size-len(payload)))...)
		_, err := p.bob.Enqueue(p.t.Context(), nodeservice.EnqueueRequest{
			Legacy: true, Recipient: p.bob.Identity(), Payload: payload})
		if err != nil {
			p.t.Fatal(err)
		}
		p.sent++
	}
}

// stored demands how many messages are stored.
func (p *post) stored(want int) {
	p.t.Helper()
	page, err := p.bob.Fetch(p.t.Context(), nodeservice.FetchRequest{Legacy: true})
	if err != nil || len(page.Messages) != want {
		p.t.Fatalf("%d messages are stored, want %d (%v)", len(page.Messages), want, err)
	}
}

// oldClient is built from the frozen schema, on the library's own transport.
type oldClient struct {
	post *post
	conn *rpc.Conn
	node schema0.NodeService
}

func (p *post) dial() *oldClient {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.client(conn)
}

func (p *post) client(conn net.Conn) *oldClient {
	p.t.Helper()
	c := &oldClient{post: p, conn: rpc.NewConn(rpc.NewStreamTransport(conn), nil)}
	p.t.Cleanup(c.leave)
	c.node = schema0.NodeService(c.conn.Bootstrap(p.t.Context()))
	if err := c.node.Resolve(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// leave ends the connection as the library does: with an Abort.
func (c *oldClient) leave() { _ = c.conn.Close() }

// fetch returns the numbers of the messages that it got; with wait > 0 it waits
// for one.
func (c *oldClient) fetch(ctx context.Context, wait time.Duration) (numbers []int, err error) {
	var payloads capnp.DataList
	if wait == 0 {
		future, release := c.node.Fetch(ctx, func(p schema0.NodeService_fetch_Params) error {
			return errors.Join(p.SetRecipientKey(c.post.bob.Identity().Bytes()), c.authorize(p.NewAuth))
		})
		defer release()
		res, err := future.Struct()
		if err != nil {
			return nil, err
		}
		payloads, err = res.Payloads()
		return numbersOf(payloads, err)
	}
	future, release := c.node.FetchWait(ctx, func(p schema0.NodeService_fetchWait_Params) error {
		p.SetTimeoutMs(uint64(wait.Milliseconds()))
		return errors.Join(p.SetRecipientKey(c.post.bob.Identity().Bytes()), c.authorize(p.NewAuth))
	})
	defer release()
	res, err := future.Struct()
	if err != nil {
		return nil, err
	}
	payloads, err = res.Payloads()
	return numbersOf(payloads, err)
}

func (c *oldClient) authorize(newAuth func() (schema0.Auth, error)) error {
	auth, err := newAuth()
	return errors.Join(err, auth.SetAccessToken([]byte(c.post.token)))
}

func numbersOf(payloads capnp.DataList, err error) (numbers []int, _ error) {
	for i := 0; err == nil && i < payloads.Len(); i++ {
		var payload []byte
		var n int
		if payload, err = payloads.At(i); err == nil {
			_, err = fmt.Sscanf(string(payload[:6]), "%d", &n)
		}
		numbers = append(numbers, n)
	}
	return numbers, err
}

// gets demands that the next fetch brings the messages from first on, n of them.
func (c *oldClient) gets(wait time.Duration, first, n int) {
	c.post.t.Helper()
	numbers, err := c.fetch(c.post.t.Context(), wait)
	if err != nil {
		c.post.t.Fatal(err)
	}
	want := make([]int, n)
	for i := range want {
		want[i] = first + i
	}
	if fmt.Sprint(numbers) != fmt.Sprint(want) && len(numbers)+n > 0 {
		c.post.t.Fatalf("messages %v, want %v", numbers, want)
	}
}

// bareClient is a peer down to its bytes: it has asked for one page, question 1,
// and does what it is told.
type bareClient struct {
	post *post
	tcp  *net.TCPConn
	conn net.Conn // tcp, or TLS over it
	in   *bufio.Reader

	paused bool   // what is written waits
	waits  []byte // for goOn
}

const methodFetch, methodFetchWait = 3, 4

func (p *post) ask(address string, overTLS *tls.Config) *bareClient {
	p.t.Helper()
	return p.askWith(address, overTLS, func(*net.TCPConn) {})
}

func (p *post) askWith(address string, overTLS *tls.Config, prepare func(*net.TCPConn)) *bareClient {
	p.t.Helper()
	tcp, err := net.Dial("tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	prepare(tcp.(*net.TCPConn))
	b := &bareClient{post: p, tcp: tcp.(*net.TCPConn), conn: tcp}
	p.t.Cleanup(func() { _ = tcp.Close() })
	if overTLS != nil {
		b.conn = tls.Client(tcp, overTLS)
	}
	b.in = bufio.NewReader(b.conn)
	s := &script{t: p.t}
	s.bootstrap(0)
	b.write(s)
	b.read()
	b.fetch(1)
	return b
}

func (b *bareClient) fetch(question uint32) {
	b.post.t.Helper()
	s := &script{t: b.post.t}
	s.call(question, 0, -1, methodFetch, func(content capnp.Struct) error {
		p := schema.NodeService_fetch_Params(content)
		return errors.Join(p.SetRecipientKey(b.post.bob.Identity().Bytes()), withToken(p.NewAuth, b.post.token))
	})
	b.write(s)
}

func (b *bareClient) write(s *script) {
	b.post.t.Helper()
	if b.paused {
		b.waits = append(b.waits, s.sent...)
		return
	}
	if _, err := b.conn.Write(s.sent); err != nil {
		b.post.t.Fatal(err)
	}
}

// pause lets what is written wait until goOn, so that it comes at once.
func (b *bareClient) pause() { b.paused = true }

func (b *bareClient) goOn() {
	b.post.t.Helper()
	b.paused = false
	b.write(&script{sent: b.waits})
	b.waits = nil
}

// read takes one whole message, and returns how many messages of ours it carries.
func (b *bareClient) read() (payloads int) {
	b.post.t.Helper()
	msg, err := capnp.NewDecoder(b.in).Decode()
	if err != nil {
		b.post.t.Fatal(err)
	}
	m, err := rpccp.ReadRootMessage(msg)
	if err != nil {
		b.post.t.Fatal(err)
	}
	ret, err := m.Return()
	if err != nil {
		b.post.t.Fatal(err)
	}
	if ret.Which() != rpccp.Return_Which_results {
		return 0 // of a call that was given up
	}
	results, err := ret.Results()
	if err != nil {
		b.post.t.Fatal(err)
	}
	content, err := results.Content()
	if err != nil || ret.AnswerId() == 0 {
		return 0
	}
	list, err := schema.NodeService_fetch_Results(content.Struct()).Payloads()
	if err != nil {
		b.post.t.Fatal(err)
	}
	return list.Len()
}

// begins waits until the answer begins to come, and reads no more of it.
func (b *bareClient) begins() {
	b.post.t.Helper()
	if _, err := b.conn.Read(make([]byte, 1)); err != nil {
		b.post.t.Fatal(err)
	}
}

// sees reads on until text has come so many times.
func (b *bareClient) sees(text string, times int) {
	b.post.t.Helper()
	for read := []byte(nil); bytes.Count(read, []byte(text)) < times; {
		next, err := b.in.ReadByte()
		if err != nil {
			b.post.t.Fatal(err)
		}
		read = append(read, next)
	}
}

// finish says that it is done with the question.
func (b *bareClient) finish(question uint32, gaveUp bool) {
	b.post.t.Helper()
	s := &script{t: b.post.t}
	s.message(func(m rpccp.Message) error {
		finish, err := m.NewFinish()
		finish.SetQuestionId(question)
		finish.SetReleaseResultCaps(gaveUp)
		return err
	})
	b.write(s)
}

func (b *bareClient) abort() {
	b.post.t.Helper()
	s := &script{t: b.post.t}
	s.message(func(m rpccp.Message) error { _, err := m.NewAbort(); return err })
	b.write(s)
}

// reset ends the connection as a machine does that has lost it.
func (b *bareClient) reset() {
	_ = b.tcp.SetLinger(0)
	_ = b.tcp.Close()
}
