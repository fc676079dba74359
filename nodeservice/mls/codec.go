package mls

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
)

// decoder reads RFC 9420's presentation language (section 2.1) from rest. The
// first problem ends it: it is kept in err, and all further reads give zero.
// What it returns aliases what it reads.
type decoder struct {
	rest cryptobyte.String
	err  *Error
}

// require notes a problem with field unless ok, or unless there is one already.
func (d *decoder) require(ok bool, field, problem string) {
	if !ok && d.err == nil {
		d.err = &Error{field, problem}
	}
}

// more reports whether a list has another element to read.
func (d *decoder) more() bool {
	return d.err == nil && len(d.rest) > 0
}

// within returns a decoder of a vector's content; absorb takes over its problem.
func (d *decoder) within(content []byte) *decoder {
	return &decoder{rest: content, err: d.err}
}

func (d *decoder) absorb(inner *decoder) {
	d.err = inner.err
}

func (d *decoder) uint8(field string) (v uint8) {
	d.require(d.err != nil || d.rest.ReadUint8(&v), field, "is cut short")
	return v
}

func (d *decoder) uint16(field string) (v uint16) {
	d.require(d.err != nil || d.rest.ReadUint16(&v), field, "is cut short")
	return v
}

func (d *decoder) uint64(field string) (v uint64) {
	d.require(d.err != nil || d.rest.ReadUint64(&v), field, "is cut short")
	return v
}

// vector reads opaque<V>: a length, then as many bytes.
func (d *decoder) vector(field string) (v []byte) {
	n := d.length(field)
	d.require(d.err != nil || d.rest.ReadBytes(&v, n), field, "is cut short")
	return v
}

// uint16s reads a vector of uint16 and returns its content.
func (d *decoder) uint16s(field string) []byte {
	content := d.vector(field)
	d.require(len(content)%2 == 0, field, "has half an element")
	return content
}

// length reads a vector's length (section 2.1.2): the two highest bits say how
// many bytes it takes, 1, 2 or 4, and the fewest possible must be taken.
func (d *decoder) length(field string) int {
	first := d.uint8(field)
	size := 1 << (first >> 6)
	d.require(size <= 4, field, "has an invalid length prefix")
	n := int(first & 0x3f)
	for i := 1; i < size; i++ {
		n = n<<8 | int(d.uint8(field))
	}
	d.require(size == 1 || n >= 1<<(4*size-2), field, "has a length that is not minimally encoded")
	return n
}

// vector is encoded as opaque<V>.
type vector []byte

// errVectorTooLong: a length has at most 30 bits (section 2.1.2).
var errVectorTooLong = errors.New("mls: vector longer than 2^30-1 bytes")

// Marshal implements [cryptobyte.MarshalingValue].
func (v vector) Marshal(b *cryptobyte.Builder) error {
	switch n := len(v); {
	case n < 1<<6:
		b.AddUint8(uint8(n))
	case n < 1<<14:
		b.AddUint16(1<<14 | uint16(n))
	case n < 1<<30:
		b.AddUint32(2<<30 | uint32(n))
	default:
		return errVectorTooLong
	}
	b.AddBytes(v)
	return nil
}

// uint16s encodes the content of a vector of uint16.
func uint16s[T ~uint16](values ...T) []byte {
	content := make([]byte, 0, 2*len(values))
	for _, v := range values {
		content = append(content, byte(v>>8), byte(v))
	}
	return content
}
