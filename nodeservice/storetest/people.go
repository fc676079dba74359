package storetest

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// someone is a new identity; every third has a P-256 key, so that engines meet
// keys of both lengths.
func (f *fixture) someone() nodeservice.Identity {
	f.Helper()
	n := f.number()
	raw := ed25519Key(n)
	if n%3 == 0 {
		raw = p256Key(n)
	}
	return f.person(raw)
}

func (f *fixture) person(raw []byte) nodeservice.Identity {
	f.Helper()
	who, err := identity.ParseKey(raw)
	if err != nil {
		f.Fatalf("a key of the suite is none: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.people = append(f.people, who)
	return who
}

// twins are two identities of which one's bytes begin the other's: an engine
// whose keys run into one another mixes them up.
func (f *fixture) twins() (short, long nodeservice.Identity) {
	f.Helper()
	raw := twinKey()
	return f.person(raw[:ed25519.PublicKeySize]), f.person(raw)
}

func ed25519Key(n uint64) []byte {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("storetest ed25519"), n))
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}

func p256Key(n uint64) []byte {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("storetest p256"), n))
	key, err := ecdh.P256().NewPrivateKey(seed[:])
	if err != nil {
		panic(err) // 0 or above the order: 1 in 2^32 for fixed seeds
	}
	return key.PublicKey().Bytes()
}

// twinKey is a P-256 key whose first half is an Ed25519 key as well: about every
// second one is.
var twinKey = sync.OnceValue(func() []byte {
	for n := uint64(0); ; n++ {
		raw := p256Key(n)
		if _, err := identity.ParseKey(raw[:ed25519.PublicKeySize]); err == nil {
			return raw
		}
	}
})
