package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
	"github.com/quicproquo/node/nodeservice/noderpc"
)

// door says how a person reaches the node.
type door string

const (
	native door = "Cap'n Proto"
	web    door = "HTTP and WebSocket"
)

// person is an identity and its session.
type person struct {
	story   *story
	name    string
	door    door
	key     *identity.PrivateKey
	node    nodeservice.Node
	session nodeservice.Session
	token   string
}

func (s *story) person(name string, algorithm identity.Algorithm, by door) *person {
	key, err := identity.GenerateKey(algorithm)
	must(err)
	p := &person{story: s, name: name, door: by, key: key}
	p.dial()
	return p
}

func (p *person) say(format string, args ...any) {
	p.story.say("%-7s %s", p.name, fmt.Sprintf(format, args...))
}

// dial opens the person's door of the node that runs now.
func (p *person) dial() {
	if p.door == native {
		client, err := noderpc.Dial(p.story.ctx, "tcp", strings.TrimPrefix(p.story.node.RPC, "capnp://"), nil)
		must(err)
		p.node = client
		p.story.closers = append(p.story.closers, func() { _ = client.Close() })
		return
	}
	client, err := gatewayclient.New(gatewayclient.Config{BaseURL: p.story.node.HTTP})
	must(err)
	p.node = client
	p.story.closers = append(p.story.closers, func() { _ = client.Close() })
}

// login signs for the name that the person knows the node by.
func (p *person) login() {
	challenge, err := p.node.Challenge(p.story.ctx, nodeservice.Origin{}, p.key.Public())
	must(err)
	expect(challenge.Audience == publicURL, "the node says that it is %q", challenge.Audience)
	signature, err := p.key.Sign(identity.LoginMessage(publicURL, p.key.Public(), challenge.Nonce))
	must(err)
	login, err := p.node.Login(p.story.ctx, nodeservice.Origin{}, nodeservice.LoginRequest{
		Identity: p.key.Public(), Nonce: challenge.Nonce, Signature: signature,
	})
	must(err)
	p.session, p.token = login.Session, login.Token
	p.story.closers = append(p.story.closers, func() { _ = login.Session.Close() })
	p.say("logs in by %s with an %s key: %.12s...", p.door, p.key.Public().Algorithm(), p.key.Public())
}

// reconnect goes on with the token from before: the node's keys outlived it.
func (p *person) reconnect() {
	p.dial()
	session, err := p.node.Authenticate(p.story.ctx, nodeservice.Origin{}, p.token)
	must(err)
	p.session = session
	p.story.closers = append(p.story.closers, func() { _ = session.Close() })
	p.say("is back, with the same token")
}

// keyPackage is a template of the person's key packages, valid for a week.
func (p *person) keyPackage() mls.KeyPackageTemplate {
	suite := mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
	if p.key.Public().Algorithm() == identity.ES256 {
		suite = mls.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
	}
	now := time.Now()
	return mls.KeyPackageTemplate{
		CipherSuite: suite, Signer: p.key.Signer(), Credential: []byte(p.name),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * 24 * time.Hour), Framed: true,
	}
}
