package crashtest

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// History is what clients of one node did and learned, over all of its lives.
type History struct {
	retention time.Duration // of messages; 0: longer than any history; static once it begins

	mu      sync.Mutex
	now     int64   // guarded by mu: counts begins, ends and strikes; orders them as they happened
	ops     []Op    // guarded by mu, in the order of their ends
	strikes []int64 // guarded by mu: when each life was told to die
}

// Op is one operation as its caller saw it. Its answer is valid if it was
// answered; Head also if it was refused.
type Op struct {
	Life       int // of the node, from 0
	Who        int // of the people of the kit
	Door       string
	Kind       Kind
	Begin, End int64 // by the history's clock
	At, Until  nodeservice.UnixMilli
	Outcome    Outcome
	Code       nodeservice.Code // unless answered

	Peer      int                   // Create: with whom; Claim: whose; of a legacy queue: its recipient
	Channel   nodeservice.ChannelID // Send, Fetch, Ack, View; the answer of Create; Follow, zero: all
	Legacy    bool                  // Send, Fetch, Ack, Drain: no channel, but the queue of Peer
	Letter    Digest                // Send
	MessageID string                // Send; "": none
	IfHead    *nodeservice.Seq      // Send; nil: any
	After     nodeservice.Seq       // Fetch
	Limit     int                   // Fetch, Drain
	Through   nodeservice.Seq       // Ack; Fetch, 0: acknowledges nothing
	Stream    int64                 // Ack: the Begin of the stream that it was made in; 0: none
	ClaimID   string                // Claim; "": none
	Packages  []nodeservice.Fingerprint

	Receipt    nodeservice.Receipt // Send
	Page       Page                // Fetch, Drain
	Events     []Event             // Follow
	CaughtUp   bool                // Follow: it came to an end of what was there
	View       nodeservice.ChannelView
	Created    bool                    // Create
	Claimed    nodeservice.Fingerprint // Claim
	LastResort bool                    // Claim; of Upload it is an argument
	OneTime    int                     // Status: of all suites
	Head       nodeservice.Seq         // of a refused Send or Ack; 0: it told none
}

// Digest is the SHA-256 of a payload, which stands for it: no two letters of a
// history have the same bytes.
type Digest [sha256.Size]byte

// Page is a nodeservice.Page with digests for payloads.
type Page struct {
	Messages           []Delivered
	Head, Acked, Floor nodeservice.Seq
	More               bool
	Gap                nodeservice.Gap // zero: none
}

// Event is what a stream told of a channel: one of a message, a gap, and how far
// it is acknowledged.
type Event struct {
	Channel nodeservice.ChannelID
	Message Delivered       // Seq 0: none
	Gap     nodeservice.Gap // zero: none
	Acked   nodeservice.Seq // 0: none
}

// Delivered is one message of a Page.
type Delivered struct {
	Seq        nodeservice.Seq
	ReceivedAt nodeservice.UnixMilli
	Letter     Digest
}

// Kind says which operation.
type Kind string

// The kinds.
const (
	Create Kind = "createChannel"
	View   Kind = "channel"
	Send   Kind = "enqueue"
	Fetch  Kind = "fetch"
	Ack    Kind = "ack"
	Drain  Kind = "drain"
	Follow Kind = "follow"
	Upload Kind = "uploadKeyPackages"
	Claim  Kind = "claimKeyPackage"
	Status Kind = "keyPackageStatus"
)

// Outcome is what the caller learned.
type Outcome uint8

// The outcomes.
const (
	Answered Outcome = iota + 1
	Refused          // the node said no: nothing happened
	Unknown          // no answer came: it happened or not
)

// begin stamps the start of an operation.
func (h *History) begin() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	return h.now
}

// end stamps the end of an operation and keeps it.
func (h *History) end(op Op) Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	op.End = h.now
	h.ops = append(h.ops, op)
	return op
}

// strike stamps the moment after which a life may leave calls unanswered.
func (h *History) strike() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now++
	h.strikes = append(h.strikes, h.now)
}

// Ops are the operations so far, in the order of their ends.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Op(nil), h.ops...)
}

// struckBy says whether a life had been told to die by a moment.
func (h *History) struckBy(life int, moment int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return life < len(h.strikes) && h.strikes[life] <= moment
}

// possible says that the operation may have had its effect.
func (op *Op) possible() bool { return op.Outcome != Refused }

func (op *Op) answered() bool { return op.Outcome == Answered }

func pageOf(p nodeservice.Page) Page {
	page := Page{Head: p.Head, Acked: p.Acked, Floor: p.Floor, More: p.More}
	if p.Gap != nil {
		page.Gap = *p.Gap
	}
	for _, m := range p.Messages {
		page.Messages = append(page.Messages, deliveredOf(m))
	}
	return page
}

func deliveredOf(m nodeservice.Message) Delivered {
	return Delivered{m.Seq, m.ReceivedAt, sha256.Sum256(m.Payload)}
}
