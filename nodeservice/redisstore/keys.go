package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strconv"

	ns "github.com/quicproquo/node/nodeservice"
)

// The key layout. A key is the namespace, a bucket's number in braces, one letter
// of kind, and fields without separators:
//
//	namespace {bucket} kind fields
//
// The number in braces is Redis Cluster's hash tag: all keys of a bucket lie in
// one slot, so a script may touch them together. What one script has to change
// together is a resource, and a resource's name gives its bucket (CRC-32 of it,
// modulo 1024): a line, an identity's channel list, an identity's key packages,
// an account, a pair, a spent digest. The scripts make the names of further keys
// of a resource from that of the first; Redis allows it within a slot.
//
//	line      1 byte ('c' channel, 'l' legacy queue) and 16: the channel's id,
//	          or the start of SHA-256("qpq legacy line\0" ‖ recipient)
//	side      '0' or '1': the recipient's place among the members (legacy: '0')
//	scope     whose message ids are remembered: line and side, or (legacy) line
//	          and account
//	identity  1 byte of length and the raw key
//	seq       decimal
//
//	L line             hash: the line (below)
//	S line side        list of messages (line.lua). A stream would set 4 KiB aside
//	                   for each queue that holds one.
//	Z line side        sorted set of the seqs whose payload is a key of its own
//	B line side seq    such a payload
//	T token            a payload on its way into a message; Redis removes it after
//	                   a minute
//	I scope            hash of message ids: seq, receivedAt, expiresAt as doubles,
//	                   digest, 8 bytes of token
//	J scope            list of them in order: seq, expiresAt as doubles, message id
//	H line account     hash: an account's messages (n) and bytes (b) in a legacy queue
//	G line account     list of these messages: seq, size, expiresAt as doubles
//	O token            answer to an append or a claim without an id, or to a conditional
//	                   acknowledgement, in case this engine sends it again; Redis removes
//	                   it after a minute. Empty, for a day: an append whose reservation
//	                   was given back, and that is not to be stored any more
//	P hash             pair: SHA-256 of both identities; channel id, creation as
//	                   a double
//	E hash id          a creation that was given up: the pair's hash, the channel's id;
//	                   Redis removes it after a day
//	V identity         sorted set: the channels visible to a viewer, by ordinal
//	A account          hash: the account (below)
//	K identity         hash of an owner's key packages by ref (packages.lua)
//	U identity         hash by suite ever held: uses of the last-resort package
//	Q identity kind:suite  sorted set of refs by expiry; kind 1 one-time, 2 last-resort
//	C hash             claim: SHA-256 of owner, claimer, claim id
//	W                  sorted set of what to look at, by when (below)
//	R, Y               in bucket 0: hash of revocations, and sorted set of their
//	                   names by until when: 't' token, 'i' raw key
//	F                  counter that is raised with each write that waits for replicas
//	X                  never there: scripts name it (scripts.go)
//
// A line's hash has the members m0 and m1 (a P-256 key without its first byte,
// which is always 4), c createdAt; h head, r and e receivedAt and expiresAt of the
// last message; and for each side: o ordinal in the member's list, a acked,
// f floor, n and b messages and bytes ever stored, N and B ever removed, w while the
// queue has an entry in W: a time before which nothing expires.
// What is zero is not there. So an idle channel is a hash of some 150 bytes.
//
// An account's hash has t, the sum of its bytes noted by queue in q fields
// (version and bytes as doubles); R, the sum of its reservations in r fields (by
// token and message id: size and until as doubles, queue); c channels created, C the number of reservations
// of channels in n fields (until as a double, hash of the pair). account.go says
// how they come about.
//
// W holds at most one entry for each of: 'm' line side (messages), 'i' line side
// (message ids), 'a' line account (message ids and share), 'k' identity (key
// packages), 'c' hash (claim). None is due later than its first expiry; one that
// comes too early is harmless: the sweep looks, and enters it anew. Besides, what
// is spent is an entry of W, due when it may be forgotten: 'x' identity ref for a
// key package, 'n' kind (1 byte of length) digest.
const (
	keyLine        = 'L'
	keyPayload     = 'B'
	keyComing      = 'T'
	keyPair        = 'P'
	keyGivenUp     = 'E'
	keyView        = 'V'
	keyAccount     = 'A'
	keyPackages    = 'K'
	keyClaim       = 'C'
	keyIndex       = 'W'
	keyRevocations = 'R'
	keyRevokedTill = 'Y'
	keyFence       = 'F'
	keyNowhere     = 'X'
)

// The kinds of entries in W.
const (
	sweepQueue    = 'm'
	sweepIDs      = 'i'
	sweepShare    = 'a'
	sweepPackages = 'k'
	sweepClaim    = 'c'
	spentPackage  = 'x'
	spentMark     = 'n'
)

// defaultNamespace is that of a Config without one.
const defaultNamespace = "qpq"

// buckets is how many hash tags there are. More would spread a large cluster
// more evenly; each costs the sweep a command.
const buckets = 1024

const (
	channelLine = 'c'
	legacyLine  = 'l'
)

// lineName names what owns a dense seq counter: a channel or a legacy queue.
type lineName [17]byte

func lineOf(q ns.Queue) (l lineName) {
	if !q.Legacy() {
		l[0] = channelLine
		copy(l[1:], q.Channel[:])
		return l
	}
	l[0] = legacyLine
	sum := sha256.Sum256([]byte("qpq legacy line\x00" + q.Recipient.Raw()))
	copy(l[1:], sum[:])
	return l
}

// base is what all keys of a bucket begin with.
func (s *Store) base(bucket uint32) string { return baseIn(s.cfg.Namespace, bucket) }

func baseIn(namespace string, bucket uint32) string {
	return namespace + "{" + strconv.FormatUint(uint64(bucket), 10) + "}"
}

// baseOf is the base of a resource.
func (s *Store) baseOf(resource string) string {
	return s.base(crc32.ChecksumIEEE([]byte(resource)) % buckets)
}

func (s *Store) lineBase(l lineName) string { return s.baseOf(string(l[:])) }

func identityName(id ns.Identity) string { return string([]byte{byte(len(id.Raw()))}) + id.Raw() }

// pairName is what both members' order does not change.
func pairName(members [2]ns.Identity) string {
	m := ns.Pair(members[0], members[1])
	return hashed("qpq pair", m[0].Raw(), m[1].Raw())
}

func claimName(req ns.ClaimKeyPackageRequest) string {
	return hashed("qpq claim", req.Owner.Raw(), req.Claimer.Raw(), req.ClaimID)
}

// hashed is a SHA-256 of fields that do not run into one another.
func hashed(purpose string, fields ...string) string {
	b := append([]byte(purpose), 0)
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}
