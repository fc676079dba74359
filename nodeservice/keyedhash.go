package nodeservice

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// keyedHash names things by HMAC-SHA256 under one key of the installation: the
// same for the same name, and telling nothing to whoever lacks the key.
type keyedHash struct {
	idle sync.Pool // of *keyedState: making an HMAC costs more than using it
}

type keyedState struct {
	mac       hash.Hash
	name, sum []byte
}

// newKeyedHash derives its key from the installation's secret.
func newKeyedHash(secret []byte, purpose string) *keyedHash {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("quicproquo node " + purpose))
	key := mac.Sum(nil)
	return &keyedHash{idle: sync.Pool{New: func() any { return &keyedState{mac: hmac.New(sha256.New, key)} }}}
}

func (k *keyedHash) of(name string) (sum [sha256.Size]byte) {
	s := k.idle.Get().(*keyedState)
	defer k.idle.Put(s)
	s.name = append(s.name[:0], name...)
	s.mac.Reset()
	s.mac.Write(s.name)
	s.sum = s.mac.Sum(s.sum[:0])
	copy(sum[:], s.sum)
	return sum
}
