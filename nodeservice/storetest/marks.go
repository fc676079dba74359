package storetest

import (
	"sync/atomic"

	"github.com/quicproquo/node/nodeservice"
)

var markPromises = []promise{
	{"a digest is spent once until its time", (*fixture).spendOnce},
	{"a digest is spent once, at once too", (*fixture).spendAtOnce},
	{"a digest is spent within its kind", (*fixture).spendByKind},
	{"revocations are listed until their time", (*fixture).revocationsUntil},
	{"a revocation is replaced by one that reaches further", (*fixture).revocationReplaced},
}

func (f *fixture) spendOnce() {
	digest := [32]byte{1}
	f.same("first", f.spend("nonce", digest, f.now+hour), true)
	f.crash()
	f.same("second", f.spend("nonce", digest, f.now+2*hour), false)
	f.same("another digest", f.spend("nonce", [32]byte{2}, f.now+hour), true)
	f.now += hour - 1
	f.sweep()
	f.same("just before its time", f.spend("nonce", digest, f.now+2*hour), false)
	f.now++ // the refused ones made it last no longer
	f.same("at its time", f.spend("nonce", digest, f.now+hour), true)
	f.same("once more", f.spend("nonce", digest, f.now+hour), false)
	f.sweep()
	f.crash()
	f.same("after a sweep", f.spend("nonce", digest, f.now+hour), false)
}

func (f *fixture) spendAtOnce() {
	for round := range byte(4) {
		var first atomic.Int32
		atOnce(20, func(int) {
			if f.spend("nonce", [32]byte{round}, f.now+hour) {
				first.Add(1)
			}
		})
		f.same("first ones", first.Load(), int32(1))
	}
}

func (f *fixture) spendByKind() {
	digest := [32]byte{1}
	for _, kind := range []string{"nonce", "dpop", "nonce2", "n", ""} {
		f.same("first of kind "+kind, f.spend(kind, digest, f.now+hour), true)
		f.same("second of kind "+kind, f.spend(kind, digest, f.now+hour), false)
	}
}

func (f *fixture) revocationsUntil() {
	token := nodeservice.Revocation{Token: [32]byte{1}, Identity: f.someone(), Until: f.now + hour}
	older := nodeservice.Revocation{Identity: f.someone(), IssuedBefore: f.now, Until: f.now + 2*hour}
	f.revoke(token)
	f.revoke(older)
	f.crash()
	f.same("in force", f.revocations(), map[nodeservice.Revocation]bool{token: true, older: true})
	f.now += hour - 1
	f.sweep()
	f.same("just before the first's time", f.revocations(), map[nodeservice.Revocation]bool{token: true, older: true})
	f.now++
	f.same("at the first's time", f.revocations(), map[nodeservice.Revocation]bool{older: true})
	f.sweep()
	f.crash()
	f.same("after a sweep", f.revocations(), map[nodeservice.Revocation]bool{older: true})
}

func (f *fixture) revocationReplaced() {
	alice, bob := f.someone(), f.someone()
	early := nodeservice.Revocation{Identity: alice, IssuedBefore: f.now, Until: f.now + hour}
	late := nodeservice.Revocation{Identity: alice, IssuedBefore: f.now + second, Until: f.now + second + hour}
	others := nodeservice.Revocation{Identity: bob, IssuedBefore: f.now, Until: f.now + hour}
	short := nodeservice.Revocation{Token: [32]byte{1}, Identity: alice, Until: f.now + hour}
	long := nodeservice.Revocation{Token: [32]byte{1}, Identity: alice, Until: f.now + 2*hour}
	for _, r := range []nodeservice.Revocation{early, others, short, late, long} {
		f.revoke(r)
	}
	want := map[nodeservice.Revocation]bool{late: true, others: true, long: true}
	f.same("in force", f.revocations(), want)
	f.crash()
	f.revoke(early)
	f.revoke(short)
	f.revoke(late)
	f.same("in force after ones that reach no further", f.revocations(), want)
}
