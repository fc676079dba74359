package nodeservice

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/quicproquo/node/nodeservice/identity"
)

// Identity is a client's MLS signature public key (RFC 9420 section 5.3). It is
// the account: the node knows no other name of a user.
type Identity = identity.Key

// ChannelID names a channel: the 16 bytes of a UUIDv4 that the server chose.
// The zero value names none.
type ChannelID [16]byte

// ParseChannelID reads the canonical text form of a UUID, lower or upper case.
func ParseChannelID(text string) (ChannelID, error) {
	if len(text) != 36 {
		return ChannelID{}, errors.New("a channel id is a UUID of 36 characters")
	}
	id, err := uuid.Parse(text)
	return ChannelID(id), err
}

// String is the canonical text form of the UUID.
func (id ChannelID) String() string { return uuid.UUID(id).String() }

// IsZero says that id names no channel.
func (id ChannelID) IsZero() bool { return id == ChannelID{} }

// Seq is a message's place in its channel: from 1, below 2^53, dense per
// channel and given in the step that stores the message. 0 stands before the
// first message.
type Seq uint64

// MaxSeq is the greatest Seq: the largest integer that JSON readers keep exact.
const MaxSeq Seq = 1<<53 - 1

// UnixMilli is an instant in milliseconds since 1970-01-01 UTC; 0 means none.
type UnixMilli int64

// Milli cuts t to the millisecond.
func Milli(t time.Time) UnixMilli { return UnixMilli(t.UnixMilli()) }

// Time is the instant in UTC.
func (m UnixMilli) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add is the instant d later, cut to the millisecond.
func (m UnixMilli) Add(d time.Duration) UnixMilli { return m + UnixMilli(d.Milliseconds()) }

// Channel is what never changes about a channel: its id, its two members and
// the time of its creation.
type Channel struct {
	ID        ChannelID
	Members   [2]Identity // ascending by raw bytes
	CreatedAt UnixMilli
}

// Peer is the other member; ok is false if who is not a member.
func (c Channel) Peer(who Identity) (peer Identity, ok bool) {
	switch who {
	case c.Members[0]:
		return c.Members[1], true
	case c.Members[1]:
		return c.Members[0], true
	}
	return Identity{}, false
}

// Pair puts two identities in the order of Channel.Members.
func Pair(a, b Identity) [2]Identity {
	if b.Raw() < a.Raw() {
		a, b = b, a
	}
	return [2]Identity{a, b}
}

// ChannelView is a channel as one of its members sees it.
type ChannelView struct {
	ID        ChannelID
	Peer      Identity
	CreatedAt UnixMilli
	Head      Seq    // highest seq of the channel so far; 0: no message yet
	Acked     Seq    // highest seq that the viewer acknowledged or drained
	Unread    uint64 // unexpired messages above Acked; may lag one sweep
}

// Message is one stored ciphertext. Its sender is the channel's other member.
type Message struct {
	Seq        Seq
	ReceivedAt UnixMilli
	ExpiresAt  UnixMilli
	Payload    []byte // 1 byte to Limits.MaxPayload; opaque
}

// GapReason says why seqs are missing.
type GapReason uint8

// The reasons of a gap.
const (
	GapExpired  GapReason = iota + 1 // expired before it was acknowledged
	GapAcked                         // acknowledged, by this or another session
	GapRestored                      // the node was restored from a backup
)

// String is the reason's name in JSON.
func (r GapReason) String() string {
	switch r {
	case GapExpired:
		return "expired"
	case GapAcked:
		return "acked"
	case GapRestored:
		return "restored"
	}
	return "unspecified"
}

// Gap announces that seqs From to To (inclusive) will not come: an upper bound,
// since it may contain the reader's own sends. The reader goes on from To.
type Gap struct {
	From, To Seq
	Reason   GapReason
}

// Page is the answer of a fetch: one snapshot of a queue.
type Page struct {
	Messages []Message // ascending by Seq, unexpired
	Head     Seq       // of the channel
	Acked    Seq       // of the queue
	Floor    Seq       // highest seq that expired unacknowledged; 0 once Acked >= Floor
	Gap      *Gap      // nil: nothing is missing
	More     bool      // further messages wait behind the last of Messages
	Handout  *Handout  // of a drain for a Consumer: to be told what became of the page; nil: nobody waits for that
}

// Receipt confirms that a message is stored durably.
type Receipt struct {
	Seq        Seq
	ReceivedAt UnixMilli
	Duplicate  bool // the same messageId was stored before; this is its first receipt
}

// Fingerprint is the SHA-256 of a key package's bytes as its owner gave them.
type Fingerprint [sha256.Size]byte

// String is the fingerprint in hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// CipherSuite is an MLS cipher suite (RFC 9420 section 17.1).
type CipherSuite uint16

// KeyPackage is a claimed key package.
type KeyPackage struct {
	Data        []byte // as uploaded: an MLSMessage or a bare KeyPackage
	Fingerprint Fingerprint
	CipherSuite CipherSuite
	LastResort  bool
}

// KeyPackageStock is what is left of an identity's key packages in one suite.
type KeyPackageStock struct {
	CipherSuite    CipherSuite
	OneTime        uint32    // unexpired one-time key packages
	SoonestExpiry  UnixMilli // of the one-time ones; 0: there is none
	LastResort     bool      // a last-resort key package is present
	LastResortUses uint32    // how often the present one was handed out
}
