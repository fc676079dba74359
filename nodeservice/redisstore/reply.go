package redisstore

import (
	"fmt"
	"strconv"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// reply reads what a script answered: a list of integers, byte strings and lists.
// After the first item that does not fit, bad is set and every item reads as
// zero; done tells at the end.
type reply struct {
	items []any
	bad   bool
}

func readReply(answer any) *reply {
	items, ok := answer.([]any)
	return &reply{items: items, bad: !ok}
}

func (r *reply) next() any {
	if r.bad || len(r.items) == 0 {
		r.bad = true
		return nil
	}
	item := r.items[0]
	r.items = r.items[1:]
	return item
}

func (r *reply) int() int64 {
	n, ok := r.next().(int64)
	r.bad = r.bad || !ok
	return n
}

// count is an integer that is not negative.
func (r *reply) count() uint64 {
	n := r.int()
	if n < 0 {
		r.bad = true
		return 0
	}
	return uint64(n)
}

func (r *reply) seq() ns.Seq        { return ns.Seq(r.count()) }
func (r *reply) time() ns.UnixMilli { return ns.UnixMilli(r.int()) }
func (r *reply) bool() bool         { return r.int() == 1 }

func (r *reply) text() string {
	s, ok := r.next().(string)
	r.bad = r.bad || !ok
	return s
}

func (r *reply) fixed(into []byte) {
	if s := r.text(); len(s) == len(into) {
		copy(into, s)
		return
	}
	r.bad = true
}

func (r *reply) list() *reply {
	inner := readReply(r.next())
	r.bad = r.bad || inner.bad
	return inner
}

func (r *reply) more() bool { return !r.bad && len(r.items) > 0 }

// member is an identity as a line's hash holds it.
func (r *reply) member() ns.Identity {
	id, ok := parseMember(r.text())
	r.bad = r.bad || !ok
	return id
}

// done reports whether the answer was whole, and nothing was left over.
func (r *reply) done() error {
	if r.bad || len(r.items) > 0 {
		return fmt.Errorf("%w: a script's answer", errCorrupt)
	}
	return nil
}

// The lengths of keys: an Ed25519 one, and an uncompressed P-256 one, which begins
// with a 4.
const (
	shortKey = 32
	longKey  = 65
)

// memberName is an identity as a line's hash holds it: in 64 bytes at most, up to
// which Redis keeps hashes compact.
func memberName(id ns.Identity) string {
	raw := id.Raw()
	if len(raw) == longKey && raw[0] == 4 {
		return raw[1:]
	}
	return raw
}

func parseMember(name string) (ns.Identity, bool) {
	switch len(name) {
	case shortKey:
		return identity.TrustedKey(name), true
	case longKey - 1:
		return identity.TrustedKey("\x04" + name), true
	}
	return ns.Identity{}, false
}

// decimalTime is a time as a hash holds it.
func (r *reply) decimalTime() ns.UnixMilli {
	n, err := strconv.ParseInt(r.text(), 10, 64)
	r.bad = r.bad || err != nil
	return ns.UnixMilli(n)
}
