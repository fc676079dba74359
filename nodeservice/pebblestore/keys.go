package pebblestore

import (
	"crypto/sha256"
	"encoding/binary"

	ns "github.com/quicproquo/node/nodeservice"
)

// The key layout, format version 1. A key is one byte of kind, then fields
// without separators; numbers are big-endian, so that keys sort as they count.
//
//	line      1 byte ('c' channel, 'l' legacy queue) and 16: the channel's id,
//	          or the start of SHA-256("qpq legacy line\0" ‖ recipient)
//	queue     line, side: 0 or 1, the recipient's place among the members (legacy: 0)
//	scope     whose message ids are remembered: a queue, or (legacy) line ‖ account
//	identity  1 byte of length and the raw key
//	time      8 bytes, Unix milliseconds, sign bit flipped
//	suite     2 bytes; seq, ordinal: 8 bytes; ref, digest: 32; account, channel: 16
//
//	F                                          format version
//	B                                          the head that a new legacy queue begins with (restore)
//	c channel                                  its members and creation: immutable
//	p identity identity                        pair -> channel
//	v identity ordinal                         channel visible to that viewer
//	V identity                                 the last ordinal given to that viewer
//	l line                                     line state: head, both sides (line.go)
//	m queue seq                                message (message.go)
//	b queue seq                                the message's blob, if it has one
//	a line seq                                 account and size of a legacy message
//	h line account                             an account's share of a legacy queue
//	A account                                  undelivered bytes, channels created
//	i scope messageId                          remembered id: receipt and digest
//	o scope seq                                the same in order: expiry, messageId
//	k identity kind suite time(expiry) ref     key packages held, in the order of claims
//	K identity ref                             key package
//	O identity                                 suites ever held, last-resort uses
//	x identity ref                             spent mark:     time(until)
//	C identity identity claimId                claim (owner, claimer): time(until), answer
//	n kind(1 byte of length) digest            spent nonce:    time(until)
//	r 't' token | r 'i' identity               revocation:     time(until), ...
//	s time sweepKind rest                      what to look at from that time on
//
// The sweep index holds at most one entry per queue and per scope, none later
// than its first expiry; one that comes too early is harmless: the sweep looks,
// and sets the entry anew. Records that just expire have one entry per write,
// and their value begins with the time that counts.
const (
	keyFormat     = 'F'
	keyBase       = 'B'
	keyChannel    = 'c'
	keyPair       = 'p'
	keyView       = 'v'
	keyViewer     = 'V'
	keyLine       = 'l'
	keyMessage    = 'm'
	keyBlob       = 'b'
	keyLegacy     = 'a'
	keyShare      = 'h'
	keyAccount    = 'A'
	keyID         = 'i'
	keyIDOrder    = 'o'
	keyPackages   = 'k'
	keyPackage    = 'K'
	keyStock      = 'O'
	keySpent      = 'x'
	keyClaim      = 'C'
	keyNonce      = 'n'
	keyRevocation = 'r'
	keySweep      = 's'
)

// The kinds of sweep entries, and what follows them in the key.
const (
	sweepQueue   = 'q' // queue
	sweepIDs     = 'i' // scope
	sweepPackage = 'k' // identity ref
	sweepRecord  = 'r' // the key of a record whose value begins with time(until)
)

const (
	channelLine = 'c'
	legacyLine  = 'l'
)

// lineKey names what owns a dense seq counter: a channel or a legacy queue.
type lineKey [17]byte

// queueKey names one recipient's messages in a line.
type queueKey [18]byte

func lineOf(q ns.Queue) lineKey {
	var k lineKey
	if !q.Legacy() {
		k[0] = channelLine
		copy(k[1:], q.Channel[:])
		return k
	}
	k[0] = legacyLine
	sum := sha256.Sum256([]byte("qpq legacy line\x00" + q.Recipient.Raw()))
	copy(k[1:], sum[:])
	return k
}

func channelLineKey(id ns.ChannelID) lineKey { return lineOf(ns.Queue{Channel: id}) }

func (k lineKey) legacy() bool { return k[0] == legacyLine }

func (k lineKey) queue(side int) queueKey {
	var q queueKey
	copy(q[:], k[:])
	q[17] = byte(side)
	return q
}

func (k queueKey) line() lineKey { return lineKey(k[:17]) }

func (k queueKey) side() int { return int(k[17]) }

// key joins a kind and fields.
func key(kind byte, fields ...[]byte) []byte {
	k := make([]byte, 1, 64)
	k[0] = kind
	for _, f := range fields {
		k = append(k, f...)
	}
	return k
}

// seqKey is key without its variadic argument: the hot path's.
func seqKey(kind byte, scope []byte, seq ns.Seq) []byte {
	k := make([]byte, 1, 1+len(scope)+8)
	k[0] = kind
	k = append(k, scope...)
	return binary.BigEndian.AppendUint64(k, uint64(seq))
}

// seqOf reads the seq at the end of a key.
func seqOf(k []byte) ns.Seq { return ns.Seq(binary.BigEndian.Uint64(k[len(k)-8:])) }

func identityField(id ns.Identity) []byte {
	return append([]byte{byte(len(id.Raw()))}, id.Raw()...)
}

func uint64Field(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func suiteField(s ns.CipherSuite) []byte { return binary.BigEndian.AppendUint16(nil, uint16(s)) }

func timeField(t ns.UnixMilli) []byte { return uint64Field(uint64(t) ^ 1<<63) }

// timeOf reads a timeField at the start of b; ok is false if b is too short.
func timeOf(b []byte) (t ns.UnixMilli, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	return ns.UnixMilli(binary.BigEndian.Uint64(b) ^ 1<<63), true
}

func channelKey(id ns.ChannelID) []byte { return key(keyChannel, id[:]) }

func pairKey(m [2]ns.Identity) []byte {
	return key(keyPair, identityField(m[0]), identityField(m[1]))
}

func sweepKey(at ns.UnixMilli, kind byte, rest []byte) []byte {
	return key(keySweep, timeField(at), []byte{kind}, rest)
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
