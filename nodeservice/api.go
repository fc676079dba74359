package nodeservice

import (
	"context"
	"net/netip"
	"time"
)

// Node is what a door calls before it knows who speaks. Service implements it,
// and so do the clients of both doors (noderpc, gatewayclient), which pass the
// calls on to a server and ignore the Origin. Errors are *Error throughout.
type Node interface {
	// Challenge returns a nonce to sign for a login. It is stateless: asking
	// allocates nothing and invalidates nothing.
	Challenge(ctx context.Context, from Origin, id Identity) (Challenge, error)

	// Login trades a signed nonce for an access token and a session. A nonce
	// logs in once: spent or expired ones are unauthenticated.
	Login(ctx context.Context, from Origin, req LoginRequest) (Login, error)

	// Authenticate verifies an access token and opens a session that ends with
	// it. Errors: unauthenticated, token_expired, rate_limited.
	Authenticate(ctx context.Context, from Origin, token string) (Session, error)

	// Info describes the node; it needs no token.
	Info(ctx context.Context) (Info, error)
}

// Session is a verified identity, held by a door on a client's behalf: a value
// you hold, and whoever holds it acts as that identity until its token expires
// or is revoked. All methods may be called concurrently. A method's byte slices
// belong to the callee from the call on, its results to the caller.
type Session interface {
	Identity() Identity

	// ExpiresAt is when the session's token expires.
	ExpiresAt() UnixMilli

	// Renew goes on with a newer token of the same identity (else
	// permission_denied), for this session and its streams.
	Renew(ctx context.Context, token string) (expiresAt UnixMilli, err error)

	// Revoke ends the session's token everywhere, live streams included.
	Revoke(ctx context.Context) error

	// CreateChannel gets or creates the channel of the caller and peer.
	CreateChannel(ctx context.Context, peer Identity) (view ChannelView, created bool, err error)

	// Channels lists the caller's channels in the order in which the caller
	// could first see them, or the one with a given peer.
	Channels(ctx context.Context, req ChannelsRequest) (ChannelList, error)

	// Channel is one channel of the caller.
	Channel(ctx context.Context, id ChannelID) (ChannelView, error)

	// Enqueue stores a message for the other member, durably, and then answers.
	Enqueue(ctx context.Context, req EnqueueRequest) (Receipt, error)

	// Fetch reads the caller's queue. With Wait it answers once there is a
	// message or a gap, or with an empty page after that time.
	Fetch(ctx context.Context, req FetchRequest) (Page, error)

	// Ack deletes the caller's messages with seq <= through: cumulative,
	// idempotent, durable before the answer; above head is invalid_argument.
	Ack(ctx context.Context, req AckRequest) error

	// Follow opens an endless stream of events.
	Follow(ctx context.Context, req FollowRequest) (Stream, error)

	// UploadKeyPackages validates and stores all or none.
	UploadKeyPackages(ctx context.Context, req UploadRequest) ([]Fingerprint, error)

	// ClaimKeyPackage hands out one key package of another identity.
	ClaimKeyPackage(ctx context.Context, req ClaimRequest) (KeyPackage, error)

	// KeyPackageStatus is the caller's own stock, ascending by suite.
	KeyPackageStatus(ctx context.Context) ([]KeyPackageStock, error)

	// Close frees what the session holds; its streams end. The token stays
	// valid. It may be called twice.
	Close() error
}

// Stream is the pull side of Follow. One goroutine calls Next; Ack and Close
// may be called from others.
type Stream interface {
	// Next blocks until there is an event. It ends with ctx's error when ctx
	// ends (and may be called again), and for good with an *Error:
	// token_expired, unauthenticated (revoked) or unavailable (shutdown).
	Next(ctx context.Context) (Event, error)

	// Ack acknowledges what this stream delivered, and so opens its window.
	// Above what was delivered on this stream (or its starting cursor):
	// invalid_argument, and nothing is deleted.
	Ack(ctx context.Context, id ChannelID, through Seq) error

	// Close ends the stream. It may be called twice.
	Close() error
}

// Origin says where a request comes from: what a door knows before it knows who.
type Origin struct {
	Address netip.Addr // of the client; the zero Addr is one shared bucket (unix sockets)
	Door    string     // "capnp", "http", "direct": for audit and counters
	Version uint16     // of the native schema that the client speaks; 0 elsewhere means nothing
	Proof   *Proof     // that came with the token; nil: none, so it is a bearer token
	Budget  *Budget    // filled with what the request's limits have left; nil: nobody asks
}

// Proof is a DPoP proof (RFC 9449), and the request that it came with.
type Proof struct {
	JWT    string
	Method string // of the request
	URL    string // of the request, as the client sees it
}

// Challenge is a nonce to sign with identity.LoginMessage.
type Challenge struct {
	Nonce     []byte
	Audience  string // what the node believes to be; clients sign for what they were configured for
	ExpiresAt UnixMilli
}

// LoginRequest is a signed challenge.
type LoginRequest struct {
	Identity    Identity
	Nonce       []byte
	Signature   []byte // over identity.LoginMessage(audience, identity, nonce)
	RevokeOlder bool   // void the identity's earlier tokens
}

// Login is the answer to a LoginRequest.
type Login struct {
	Token     string
	ExpiresAt UnixMilli
	Session   Session
}

// ChannelsRequest asks for a page of the caller's channels.
type ChannelsRequest struct {
	Peer   Identity // zero: all peers
	Cursor []byte   // of the page before; nil: from the start
	Limit  int      // 1..MaxChannelsPage; 0: the default of 100
}

// ChannelList is a page of channels. Next is nil on the last page.
type ChannelList struct {
	Channels []ChannelView
	Next     []byte
}

// EnqueueRequest is a message to store.
type EnqueueRequest struct {
	Channel   ChannelID
	Legacy    bool     // no channel: the recipient's queue of before channels
	Recipient Identity // Legacy: whom; else zero, or the other member, or permission_denied
	Payload   []byte
	MessageID []byte // nil: none; else 1 to 64 bytes, the client's
	IfHead    *Seq   // store only if the channel's head is still this; nil: any
}

// FetchRequest reads the caller's queue of a channel.
type FetchRequest struct {
	Channel    ChannelID
	Legacy     bool          // no channel: the caller's queue of before channels
	Recipient  Identity      // zero, or the caller, or permission_denied
	After      Seq           // 0: after what is acknowledged
	Limit      int           // messages, 1..MaxFetch; 0: MaxFetch
	MaxBytes   int           // of payload, 1..MaxFetchBytes; 0: MaxFetchBytes; one message always passes
	AckThrough Seq           // acknowledge first; 0: nothing
	Drain      bool          // remove what is returned, as version 0 clients expect
	Wait       time.Duration // 0: answer at once; at most MaxWait

	// Consumer is the door's connection, if it can tell whether its answer
	// arrived: then a drain hands out, as Page.Handout, and does not remove. Nil: a
	// drain removes before it answers. Clients ignore it.
	Consumer *Consumer
}

// AckRequest acknowledges the caller's queue of a channel.
type AckRequest struct {
	Channel ChannelID
	Legacy  bool // no channel: the caller's queue of before channels
	Through Seq
}

// FollowRequest asks for a stream.
type FollowRequest struct {
	Channel ChannelID // zero: all of the caller's channels, new ones included
	After   Seq       // with Channel only: skip delivery up to here; 0: what is acknowledged
	Window  Window    // zero fields: DefaultWindow
}

// Window bounds the deliveries of one stream above what is acknowledged.
type Window struct {
	Messages int
	Bytes    int
}

// DefaultWindow is a stream's window unless it asks for less.
var DefaultWindow = Window{Messages: 128, Bytes: 16 << 20}

// UploadRequest is a batch of the caller's own key packages.
type UploadRequest struct {
	Owner      Identity // zero, or the caller, or permission_denied
	Packages   [][]byte // at most MaxUpload, MaxKeyPackage bytes each
	LastResort bool     // kept, and handed out when the one-time ones have run out
	AnyLength  bool     // accept lifetimes over 90 days (version 0 uploads)
}

// ClaimRequest asks for a key package of another identity.
type ClaimRequest struct {
	Owner   Identity
	Suites  []CipherSuite // none: any
	ClaimID []byte        // nil: none; else 1 to 64 bytes: a retry gets the same package for 10 minutes
}

// The bounds of a request that are not configurable.
const (
	MaxFetch        = 256
	MaxFetchBytes   = 8 << 20
	MaxWait         = 60 * time.Second
	MaxMessageID    = 64
	MaxUpload       = 100
	MaxKeyPackage   = 16 << 10
	MaxChannelsPage = 256
)

// The versions of the native schema that this node speaks.
const (
	MinVersion uint16 = 0
	MaxVersion uint16 = 1
)

// Info describes the node.
type Info struct {
	MinVersion, MaxVersion uint16
	Capabilities           []string
	Audience               string
	Durability             string // what "stored" means here, in words
	ServerTime             UnixMilli
	MaxPayload             int // bytes
	MaxFetch               int // messages
	MaxFetchBytes          int // bytes of payload
	MaxWait                time.Duration
	Legacy                 bool   // enqueue and fetch without a channel are served
	JWKS                   []byte // the public keys of our tokens (RFC 7517), JSON
}

// Event is one item of a stream: one of the Event types below.
type Event interface{ event() }

// The events. Every one derives from stored state, but for the last two.
type (
	// MessageEvent delivers a message of the caller's queue.
	MessageEvent struct {
		Channel ChannelID
		Message Message
	}
	// ChannelEvent announces a channel that became visible to the caller
	// during the stream, before its first message.
	ChannelEvent struct{ Channel ChannelView }
	// GapEvent announces seqs that will not come.
	GapEvent struct {
		Channel ChannelID
		Gap     Gap
	}
	// CaughtUpEvent comes once, when all that was stored at the start was sent.
	CaughtUpEvent struct{}
	// AckedEvent says that the caller's queue is durably acknowledged. It comes before
	// the messages for which it makes room in the window.
	AckedEvent struct {
		Channel ChannelID
		Through Seq
	}
	// KeyPackagesLowEvent says that a suite's one-time stock is below 25.
	KeyPackagesLowEvent struct{ Stock KeyPackageStock }
	// TokenExpiringEvent comes 60 s before the session's token expires.
	TokenExpiringEvent struct{ ExpiresAt UnixMilli }
	// DrainingEvent says that the node shuts down: come back after a while.
	DrainingEvent struct{ RetryAfter time.Duration }
)

func (MessageEvent) event()        {}
func (ChannelEvent) event()        {}
func (GapEvent) event()            {}
func (CaughtUpEvent) event()       {}
func (AckedEvent) event()          {}
func (KeyPackagesLowEvent) event() {}
func (TokenExpiringEvent) event()  {}
func (DrainingEvent) event()       {}
