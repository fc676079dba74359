package nodetest

import (
	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

var conversations = []Behaviour{
	{Name: "a conversation from login to the last ack", Run: func(w *World) { converse(w, identity.EdDSA) }},
	{Name: "a conversation between P-256 identities", Run: func(w *World) { converse(w, identity.ES256) }},
	{Name: "a conversation goes on after a restart", Run: outlivesRestart},
	{Name: "info tells what the node speaks and stores", Run: informs},
}

func converse(w *World, algorithm identity.Algorithm) {
	alice, bob := w.actorOn(w.Dial(), algorithm), w.actorOn(w.Dial(), algorithm)
	suite := mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
	if algorithm == identity.ES256 {
		suite = mls.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
	}
	uploaded := bob.keyPackage(suite, nil)
	fingerprints := bob.upload(uploaded)
	claimed := alice.claim(nodeservice.ClaimRequest{Owner: bob.ID})
	equal(w, "claimed package", string(claimed.Data), string(uploaded))
	equal(w, "fingerprint", claimed.Fingerprint, fingerprints[0])
	equal(w, "suite", claimed.CipherSuite, nodeservice.CipherSuite(suite))
	equal(w, "last resort", claimed.LastResort, false)

	id := alice.channel(bob)
	welcome, first := alice.send(id)
	equal(w, "first seq", welcome.Seq, 1)
	w.holds(bob.unread(id), first)
	bob.ack(id, 1)
	answer, second := bob.send(id)
	equal(w, "second seq", answer.Seq, 2)
	w.holds(alice.unread(id), second)
	alice.ack(id, 2)
	for _, reader := range []*Actor{alice, bob} {
		w.holds(reader.unread(id))
	}
}

func outlivesRestart(w *World) {
	alice, bob, id := w.pair()
	_, first := alice.send(id)
	w.Restart()
	alice.rejoin()
	bob.rejoin()
	second, payload := alice.send(id)
	equal(w, "seq after the restart", second.Seq, 2)
	w.holds(bob.unread(id), first, payload)
	equal(w, "channel after the restart", bob.channel(alice), id)
}

func informs(w *World) {
	info, err := w.Dial().Info(w.Ctx)
	w.ok(err)
	equal(w, "MinVersion", info.MinVersion, nodeservice.MinVersion)
	equal(w, "MaxVersion", info.MaxVersion, nodeservice.MaxVersion)
	equal(w, "Audience", info.Audience, PublicURL)
	equal(w, "MaxPayload", info.MaxPayload, 5<<20)
	equal(w, "MaxFetch", info.MaxFetch, nodeservice.MaxFetch)
	equal(w, "MaxFetchBytes", info.MaxFetchBytes, nodeservice.MaxFetchBytes)
	equal(w, "MaxWait", info.MaxWait, nodeservice.MaxWait)
	equal(w, "Legacy", info.Legacy, true)
	equal(w, "Durability", info.Durability, w.store.Durability())
	if info.ServerTime <= 0 {
		w.T.Errorf("ServerTime is %d", info.ServerTime)
	}
}
