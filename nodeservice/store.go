package nodeservice

import "context"

// Store is the storage contract. Engines store and compare; they never decide
// who may. storetest is this contract as tests: a new promise goes there first.
//
// Durability. A method that changes state returns nil only when the change is
// durable: a power cut after the return cannot undo it. After an error the
// change may or may not have happened, in full or not at all, never in part;
// the caller may try again.
//
// Atomicity. Each call is one atomic step: concurrent calls behave as if they
// came one after the other, and a read sees one moment.
//
// Time. Engines never look at a clock. Every call that depends on time is told
// Now, which never decreases from call to call of one process; a record with
// ExpiresAt (or until) <= Now is as good as deleted.
//
// Ownership. Arguments are the engine's only until the call returns, payloads
// included; results belong to the caller.
//
// Errors are *Error: unavailable when the engine cannot serve now (disk full,
// closed, away), internal when what it reads makes no sense. What callers
// branch on is an outcome in the result, not an error. All methods may be
// called concurrently. A context that ends may or may not stop the call.
type Store interface {
	// CreateChannel gets or creates the channel of a pair. The record of the
	// pair is the truth: two creators at once get the same channel. The channel
	// becomes visible to the creator; to the peer only by its first message, or
	// when the peer calls CreateChannel as well.
	CreateChannel(ctx context.Context, req CreateChannel) (CreatedChannel, error)

	// Channel reads the immutable part of a channel.
	Channel(ctx context.Context, id ChannelID) (channel Channel, found bool, err error)

	// ChannelByPair finds the channel of two identities, visible or not.
	ChannelByPair(ctx context.Context, members [2]Identity) (channel Channel, found bool, err error)

	// ChannelState reads a channel as one member sees it, visible or not; found
	// is false if the channel does not exist or viewer is not a member.
	ChannelState(ctx context.Context, id ChannelID, viewer Identity, now UnixMilli) (state ChannelState, found bool, err error)

	// Channels lists the channels visible to an identity, ascending by Ordinal,
	// from the first with Ordinal > after, at most limit.
	Channels(ctx context.Context, viewer Identity, after uint64, limit int, now UnixMilli) ([]ChannelState, error)

	// Append stores a message at the tail of a queue. The checks come in the
	// order of AppendOutcome's constants; the first that applies decides, and
	// only Appended changes anything.
	//
	// The new Seq is the line's head + 1. ReceivedAt is the greater of Now and
	// the line's last ReceivedAt, and ExpiresAt likewise: neither ever
	// decreases within a line. Only unexpired messages count against quotas.
	Append(ctx context.Context, req Append) (Appended, error)

	// Read returns a snapshot of a queue: unexpired messages with Seq > max
	// (After, acked, floor), ascending, at most Limit and MaxBytes of payload,
	// but always one if there is one. A queue never written reads as empty.
	Read(ctx context.Context, req Read) (QueuePage, error)

	// Ack deletes the messages of a queue with seq <= Through and raises acked
	// to Through, if it is lower; acked never falls. Above head nothing changes.
	Ack(ctx context.Context, req Ack) (Acked, error)

	// PutKeyPackages stores all packages or none. A package of the same Ref and
	// kind that is still held is left as it is (and is a success). Refused, as a
	// whole, is a package that is held as the other kind, that is spent, or that
	// exceeds Max; packages are looked at in their order, and Max last. A last-resort package replaces the one of its suite; its use
	// count starts anew.
	PutKeyPackages(ctx context.Context, req PutKeyPackages) (PutOutcome, error)

	// ClaimKeyPackage takes one key package of an owner in one atomic step. A
	// one-time package is handed out once, ever, and is spent from then on
	// until its own NotAfter; a repeated ClaimID gets the first answer again.
	// Among one-time packages of the wanted suites with ExpiresAt >= MinExpiry
	// the one that expires soonest goes first (ties by Ref); if there is none,
	// or OneTime is false, the last-resort package of the wanted suite listed
	// first (none named: the lowest suite) goes, and is kept and counted.
	ClaimKeyPackage(ctx context.Context, req ClaimKeyPackageRequest) (ClaimedKeyPackage, error)

	// KeyPackageStock counts an owner's unexpired packages, ascending by suite.
	// A suite that once held a package stays listed, though it holds none.
	KeyPackageStock(ctx context.Context, owner Identity, now UnixMilli) ([]KeyPackageStock, error)

	// Spend marks a digest of a kind as used until a time; first is true for
	// exactly one caller until then.
	Spend(ctx context.Context, kind string, digest [32]byte, until, now UnixMilli) (first bool, err error)

	// Revoke stores a revocation until a time. One with the same Token or
	// Identity is replaced, if the new one reaches further: its IssuedBefore is
	// later, or else its Until.
	Revoke(ctx context.Context, r Revocation) error

	// Revocations lists those with Until > now.
	Revocations(ctx context.Context, now UnixMilli) ([]Revocation, error)

	// Sweep deletes what has expired: messages (raising floor), remembered
	// message ids, key packages, claims, spent marks, revocations. It works in
	// bounded steps, between which other calls proceed; more says that it
	// stopped at its bound and wants to be called again.
	Sweep(ctx context.Context, now UnixMilli) (swept Swept, more bool, err error)

	// Free is the share of the store's space that is free, 0 to 1.
	Free(ctx context.Context) (float64, error)

	// Durability says in a few words what "stored" means here.
	Durability() string

	// Close waits for running calls and releases the store. It may be called
	// twice; calls after it are unavailable.
	Close() error
}

// Queue names the messages of one recipient. In a channel both queues share one
// line: one dense counter, one head. The zero Channel names the recipient's
// legacy queue, which is a line of its own.
type Queue struct {
	Channel   ChannelID
	Recipient Identity
}

// Legacy says that the queue belongs to no channel.
func (q Queue) Legacy() bool { return q.Channel.IsZero() }

// Account is a keyed hash of an identity that sends: quotas are counted by it,
// and a legacy queue knows its senders by nothing else.
type Account [16]byte

// CreateChannel asks for the channel of a pair.
type CreateChannel struct {
	ID          ChannelID // for the channel, should it be created: random, fresh
	Creator     Identity
	Peer        Identity // != Creator
	Account     Account  // of Creator
	Now         UnixMilli
	MaxChannels int // that Account may have created; 0: any
}

// CreatedChannel is the answer to CreateChannel.
type CreatedChannel struct {
	State     ChannelState // as Creator sees it
	Created   bool         // this call created it
	Announced bool         // this call made it visible to Creator
	OverQuota bool         // nothing was created: Account has MaxChannels
}

// ChannelState is a channel with what changes, as one member sees it.
type ChannelState struct {
	Channel Channel
	Head    Seq
	Acked   Seq
	Floor   Seq    // 0 if Acked >= Floor
	Unread  uint64 // messages above Acked; expired ones may be counted until swept
	// Ordinal is the channel's place among those visible to the viewer: from 1,
	// in the order in which they became visible, given once; 0: not visible.
	Ordinal uint64
}

// Append is a message to store.
type Append struct {
	Queue     Queue
	Account   Account // of the sender
	Payload   []byte
	Digest    [32]byte // SHA-256 of Payload
	MessageID string   // remembered per (channel, sender), or (legacy queue, Account); "": none
	IfHead    *Seq     // nil: any
	Now       UnixMilli
	ExpiresAt UnixMilli // of the message and of its remembered MessageID
	Quota     AppendQuota
}

// AppendQuota bounds what Append may store; zero fields bound nothing.
type AppendQuota struct {
	QueueMessages int   // unexpired messages in the queue
	QueueBytes    int64 // of their payloads
	AccountBytes  int64 // undelivered payload bytes of Account in all queues
	ShareMessages int   // of Account in this (legacy) queue
	ShareBytes    int64 // of Account in this (legacy) queue
	RememberedIDs int   // the sender's latest message ids kept per channel
}

// AppendOutcome says what Append did.
type AppendOutcome uint8

// The outcomes of Append, in the order of its checks.
const (
	AppendDuplicate AppendOutcome = iota + 1 // MessageID with the same Digest: Seq and ReceivedAt are the first's
	AppendReused                             // MessageID with another Digest
	AppendHeadMoved                          // IfHead is not Head
	AppendQueueFull                          // QueueMessages or QueueBytes
	AppendOverQuota                          // AccountBytes, ShareMessages or ShareBytes
	AppendStored
)

// Appended is the answer to Append.
type Appended struct {
	Outcome    AppendOutcome
	Seq        Seq       // with AppendStored and AppendDuplicate
	ReceivedAt UnixMilli // with AppendStored and AppendDuplicate
	Head       Seq       // after the step
	Announced  bool      // this message made the channel visible to the recipient
}

// Read asks for a page of a queue.
type Read struct {
	Queue    Queue
	After    Seq // exclusive; lower than acked or floor reads as those
	Limit    int // messages; at least 1
	MaxBytes int // of payload
	Now      UnixMilli
}

// QueuePage is the answer to Read.
type QueuePage struct {
	Messages    []Message
	Head        Seq
	Acked       Seq
	Floor       Seq       // what expired by Now counts, swept or not; 0 if Acked >= Floor
	FloorReason GapReason // 0 with Floor 0
	More        bool
}

// Ack asks to acknowledge a queue.
type Ack struct {
	Queue   Queue
	Through Seq
	IfAcked *Seq // apply only if acked is still this (two drains at once); nil: any
	Now     UnixMilli
}

// AckOutcome says what Ack did.
type AckOutcome uint8

// The outcomes of Ack, in the order of its checks.
const (
	AckBeyondHead AckOutcome = iota + 1 // Through > head: nothing changed
	AckConflict                         // acked is not IfAcked: nothing changed
	AckUnchanged                        // acked >= Through already
	AckDone
)

// Acked is the answer to Ack.
type Acked struct {
	Outcome AckOutcome
	Acked   Seq // after the step
	Head    Seq
}

// StoredKeyPackage is a key package as an engine keeps it.
type StoredKeyPackage struct {
	Ref         [32]byte // SHA-256 of the bare KeyPackage: uniqueness and spent marks go by it
	Fingerprint Fingerprint
	CipherSuite CipherSuite
	Data        []byte
	ExpiresAt   UnixMilli // when the node drops it
	NotAfter    UnixMilli // when nobody takes it any more, by its own lifetime: spent until then
}

// PutKeyPackages stores a batch of one kind.
type PutKeyPackages struct {
	Owner      Identity
	LastResort bool
	Packages   []StoredKeyPackage
	Max        int // packages that Owner may hold, of both kinds; 0: any
	Now        UnixMilli
}

// PutResult says what PutKeyPackages did.
type PutResult uint8

// The results of PutKeyPackages.
const (
	PutStored    PutResult = iota + 1
	PutSpent               // the package at Index was handed out before
	PutOtherKind           // the package at Index is held as the other kind
	PutOverQuota           // more than Max
)

// PutOutcome is the answer to PutKeyPackages; unless it is PutStored nothing changed.
type PutOutcome struct {
	Result PutResult
	Index  int
}

// ClaimKeyPackageRequest takes one key package.
type ClaimKeyPackageRequest struct {
	Owner      Identity
	Claimer    Identity
	ClaimID    string    // "": none; scoped to (Claimer, Owner)
	ClaimUntil UnixMilli // how long ClaimID is remembered
	Suites     []CipherSuite
	OneTime    bool // false: the owner's one-time budget is spent, hand out the last-resort one
	MinExpiry  UnixMilli
	Now        UnixMilli
}

// ClaimedKeyPackage is the answer to ClaimKeyPackage.
type ClaimedKeyPackage struct {
	Found      bool
	Repeated   bool // ClaimID was seen before: the first answer again
	KeyPackage KeyPackage
	Remaining  uint32 // unexpired one-time packages left in this suite
}

// Revocation voids one token, or an identity's tokens issued before an instant.
type Revocation struct {
	Token        [32]byte // SHA-256 of the token; zero: by identity
	Identity     Identity
	IssuedBefore UnixMilli // exclusive
	Until        UnixMilli // when the last token concerned has expired anyway
}

// Swept counts what a Sweep deleted.
type Swept struct {
	Messages, MessageIDs, KeyPackages, Others int
	// Floors are the queues whose floor rose: their readers have a gap to see.
	Floors []Queue
}
