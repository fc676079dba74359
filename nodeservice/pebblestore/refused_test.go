package pebblestore

import (
	"crypto/sha256"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	ns "github.com/quicproquo/node/nodeservice"
)

// TestWhatIsRefusedIsNotWrittenFirst: a large payload goes to its file before the
// step that stores it. Senders to a full mailbox, and those who repeat themselves,
// must not keep the disk from others by that.
func TestWhatIsRefusedIsNotWrittenFirst(t *testing.T) {
	large := make([]byte, maxInline+1)
	other := append(make([]byte, maxInline), 1)
	head := ns.Seq(7)
	for name, c := range map[string]struct {
		change func(*ns.Append)
		want   ns.AppendOutcome
	}{
		"a duplicate":            {func(*ns.Append) {}, ns.AppendDuplicate},
		"another message's id":   {func(a *ns.Append) { a.Payload, a.Digest = other, sha256.Sum256(other) }, ns.AppendReused},
		"a head that has moved":  {func(a *ns.Append) { a.MessageID, a.IfHead = "", &head }, ns.AppendHeadMoved},
		"a queue full by count":  {func(a *ns.Append) { a.MessageID, a.Quota.QueueMessages = "", 1 }, ns.AppendQueueFull},
		"a queue full by bytes":  {func(a *ns.Append) { a.MessageID, a.Quota.QueueBytes = "", int64(len(large)) }, ns.AppendQueueFull},
		"a sender that has much": {func(a *ns.Append) { a.MessageID, a.Quota.AccountBytes = "", int64(len(large)) }, ns.AppendOverQuota},
		"a share that is full":   {func(a *ns.Append) { a.MessageID, a.Quota.ShareMessages = "", 1 }, ns.AppendOverQuota},
		"a share full by bytes":  {func(a *ns.Append) { a.MessageID, a.Quota.ShareBytes = "", int64(len(large)) }, ns.AppendOverQuota},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newHookFS()
			s := open(t, fs)
			first := note(channelTo(t, s, 1), large)
			if req := first; func() bool { c.change(&req); return req.Quota.ShareMessages > 0 || req.Quota.ShareBytes > 0 }() {
				first.Queue = ns.Queue{Recipient: person(9)}
			}
			first.MessageID = "first"
			if got, err := s.Append(t.Context(), first); err != nil || got.Outcome != ns.AppendStored {
				t.Fatal(got, err)
			}
			var written atomic.Int64
			fs.before(func(op errorfs.Op) error {
				if isBlob(op) && op.Kind == errorfs.OpCreate {
					written.Add(1)
				}
				return nil
			})
			again := first
			c.change(&again)
			got, err := s.Append(t.Context(), again)
			if err != nil || got.Outcome != c.want || got.Head != 1 {
				t.Fatalf("%+v, %v, want %d", got, err, c.want)
			}
			if c.want == ns.AppendDuplicate && (got.Seq != 1 || got.ReceivedAt != testNow) {
				t.Errorf("the receipt is %+v", got)
			}
			if n := written.Load(); n > 0 {
				t.Errorf("%d files were written for nothing", n)
			}
			again.Now += 2000 // the first has expired, and its id with it
			again.ExpiresAt += 2000
			again.IfHead = nil
			if got, err := s.Append(t.Context(), again); err != nil || got.Outcome != ns.AppendStored {
				t.Errorf("once there is room: %+v, %v", got, err)
			}
		})
	}
}
