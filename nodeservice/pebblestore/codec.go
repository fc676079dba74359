package pebblestore

import (
	"encoding/binary"
	"errors"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var errCorrupt = errors.New("pebblestore: a record makes no sense")

// encoder builds a record: fields in a fixed order, numbers as varints, byte
// strings behind their length or of a fixed size.
type encoder struct{ b []byte }

func (e *encoder) uint(n uint64)          { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) time(t ns.UnixMilli)    { e.b = binary.AppendVarint(e.b, int64(t)) }
func (e *encoder) fixed(b []byte)         { e.b = append(e.b, b...) }
func (e *encoder) bytes(b []byte)         { e.uint(uint64(len(b))); e.b = append(e.b, b...) }
func (e *encoder) text(s string)          { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) identity(k ns.Identity) { e.text(k.Raw()) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
		return
	}
	e.b = append(e.b, 0)
}

// decoder reads what encoder wrote. After the first field that does not fit,
// bad is set and every field reads as zero; done tells at the end.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) time() ns.UnixMilli {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return ns.UnixMilli(n)
}

// take returns the next n bytes, which belong to the record's buffer.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) fixed(into []byte)     { copy(into, d.take(uint64(len(into)))) }
func (d *decoder) bytes() []byte         { return d.take(d.uint()) }
func (d *decoder) text() string          { return string(d.bytes()) }
func (d *decoder) identity() ns.Identity { return identity.TrustedKey(d.text()) }

func (d *decoder) bool() bool {
	b := d.take(1)
	return len(b) == 1 && b[0] == 1
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

// done reports whether the record was whole, and nothing was left over.
func (d *decoder) done() error {
	if d.bad || len(d.b) > 0 {
		return errCorrupt
	}
	return nil
}
