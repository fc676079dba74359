package nodetest

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// Actor is a client: an identity that logged in through the door.
type Actor struct {
	w       *World
	Key     *identity.PrivateKey
	ID      nodeservice.Identity
	Node    nodeservice.Node
	Token   string
	Session nodeservice.Session
}

// Actor is a new identity, logged in on a connection of its own.
func (w *World) Actor() *Actor {
	w.T.Helper()
	return w.actorOn(w.Dial(), identity.EdDSA)
}

// actorOn is a new identity, logged in by way of node.
func (w *World) actorOn(node nodeservice.Node, algorithm identity.Algorithm) *Actor {
	w.T.Helper()
	a := w.newcomer(node, algorithm)
	a.hold(a.login(false))
	return a
}

// newcomer is a new identity that has not logged in.
func (w *World) newcomer(node nodeservice.Node, algorithm identity.Algorithm) *Actor {
	w.T.Helper()
	key, err := identity.GenerateKey(algorithm)
	w.ok(err)
	w.secrets.add("identity", key.Public().Bytes())
	return &Actor{w: w, Key: key, ID: key.Public(), Node: node}
}

// again is another session of the same identity, on a connection of its own.
func (a *Actor) again() *Actor {
	a.w.T.Helper()
	other := &Actor{w: a.w, Key: a.Key, ID: a.ID, Node: a.w.Dial()}
	other.hold(other.login(false))
	return other
}

// rejoin dials anew and goes on with the token.
func (a *Actor) rejoin() {
	a.w.T.Helper()
	a.Node = a.w.Dial()
	session, err := a.Node.Authenticate(a.w.Ctx, origin, a.Token)
	a.w.ok(err)
	a.hold(nodeservice.Login{Token: a.Token, Session: session})
}

// with is another session of the same identity, with a token that was minted.
func (a *Actor) with(token string) *Actor {
	a.w.T.Helper()
	other := &Actor{w: a.w, Key: a.Key, ID: a.ID, Token: token}
	other.rejoin()
	return other
}

func (a *Actor) hold(login nodeservice.Login) {
	a.Token, a.Session = login.Token, login.Session
	a.w.T.Cleanup(func() { _ = login.Session.Close() }) // may be over already
}

// login is a new login of the identity.
func (a *Actor) login(revokeOlder bool) nodeservice.Login {
	a.w.T.Helper()
	req := a.signed(a.challenge(), PublicURL)
	req.RevokeOlder = revokeOlder
	login, err := a.Node.Login(a.w.Ctx, origin, req)
	a.w.ok(err)
	a.w.secrets.addToken(login.Token)
	return login
}

func (a *Actor) challenge() []byte {
	a.w.T.Helper()
	challenge, err := a.Node.Challenge(a.w.Ctx, origin, a.ID)
	a.w.ok(err)
	a.w.secrets.add("nonce", challenge.Nonce)
	return challenge.Nonce
}

// signed is a login with a nonce, signed for an audience.
func (a *Actor) signed(nonce []byte, audience string) nodeservice.LoginRequest {
	a.w.T.Helper()
	signature, err := a.Key.Sign(identity.LoginMessage(audience, a.ID, nonce))
	a.w.ok(err)
	a.w.secrets.add("signature", signature)
	return nodeservice.LoginRequest{Identity: a.ID, Nonce: nonce, Signature: signature}
}

// channel is the actor's channel with peer.
func (a *Actor) channel(peer *Actor) channelID {
	a.w.T.Helper()
	view, _, err := a.Session.CreateChannel(a.w.Ctx, peer.ID)
	a.w.ok(err)
	return view.ID
}

// send stores a payload of its own making, and returns both.
func (a *Actor) send(id channelID) (nodeservice.Receipt, []byte) {
	a.w.T.Helper()
	payload := a.w.payload(48)
	return a.enqueue(nodeservice.EnqueueRequest{Channel: id, Payload: payload}), payload
}

// sendAll stores n messages and returns their payloads.
func (a *Actor) sendAll(id channelID, n int) (payloads [][]byte) {
	a.w.T.Helper()
	for range n {
		_, payload := a.send(id)
		payloads = append(payloads, payload)
	}
	return payloads
}

func (a *Actor) enqueue(req nodeservice.EnqueueRequest) nodeservice.Receipt {
	a.w.T.Helper()
	receipt, err := a.Session.Enqueue(a.w.Ctx, req)
	a.w.ok(err)
	return receipt
}

func (a *Actor) fetch(req nodeservice.FetchRequest) nodeservice.Page {
	a.w.T.Helper()
	ctx, cancel := context.WithTimeout(a.w.Ctx, awake)
	defer cancel()
	page, err := a.Session.Fetch(ctx, req)
	a.w.ok(err)
	return page
}

// unread is the whole of the actor's queue, in one page.
func (a *Actor) unread(id channelID) nodeservice.Page {
	a.w.T.Helper()
	return a.fetch(nodeservice.FetchRequest{Channel: id})
}

func (a *Actor) ack(id channelID, through seq) {
	a.w.T.Helper()
	a.w.ok(a.Session.Ack(a.w.Ctx, nodeservice.AckRequest{Channel: id, Through: through}))
}

// pair is two actors and their channel.
func (w *World) pair() (alice, bob *Actor, id channelID) {
	w.T.Helper()
	alice, bob = w.Actor(), w.Actor()
	return alice, bob, alice.channel(bob)
}

// payload is n random bytes that must appear in no log.
func (w *World) payload(n int) []byte {
	payload := randomBytes(n)
	w.secrets.add("payload", payload[:min(n, 48)])
	return payload
}
