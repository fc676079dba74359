package gateway

import (
	"cmp"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// holdings count what all requests and streams keep in memory while their peers
// take their time: bodies that arrive, answers and frames that are on their way.
// Nobody is refused when that is too much: of the address that holds most the
// request that is longest at it is cut, until the rest fits. So who asks for
// answers and does not take them pays for it, and clients that hold little do not
// notice.
type holdings struct {
	limit int64        // bytes; static after construction
	log   *slog.Logger // static after construction

	mu     sync.Mutex
	total  int64                     // guarded by mu: bytes of all owners
	owners map[netip.Prefix]*holders // guarded by mu; those that hold something
	begun  uint64                    // guarded by mu: how many holdings there were so far
}

// holders are the holdings of one client address (IPv6: /64).
type holders struct {
	bytes int64
	all   map[*holding]struct{}
}

// holding is the part of one request or stream. What is small is not counted: it
// leaves at once, or the number of connections bounds it.
type holding struct {
	set   *holdings    // static after construction
	owner netip.Prefix // static after construction
	cut   func()       // static after construction: fails its reads and writes, and never blocks

	bytes int64  // guarded by set.mu; counted only above 0
	since uint64 // guarded by set.mu: which one it was to begin
	ended bool   // guarded by set.mu: closed or cut, and no longer counted
}

const (
	heldTogether = 512 << 20 // bytes
	heldUnseen   = 16 << 10  // bytes
)

func newHoldings(limit int64, log *slog.Logger) *holdings {
	return &holdings{limit: limit, log: log, owners: map[netip.Prefix]*holders{}}
}

// open makes the holding of a request or stream of a client; it holds nothing yet.
func (s *holdings) open(client netip.Addr, cut func()) *holding {
	bits := 64
	if client.Is4() {
		bits = 32
	}
	owner, _ := client.Prefix(bits) // of none it is the zero Prefix: a unix socket's clients are one
	return &holding{set: s, owner: owner, cut: cut}
}

// add counts n bytes more, or less. Afterwards all together hold no more than the
// limit, since somebody was cut, perhaps this one.
func (h *holding) add(n int) {
	if -heldUnseen < n && n < heldUnseen {
		return
	}
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	if h.ended {
		return
	}
	h.count(int64(n))
	for h.set.total > h.set.limit {
		h.set.cutOne()
	}
}

// close is the end of the request or stream. Nobody cuts it any more.
func (h *holding) close() {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.end()
}

// end stops counting; the caller holds set.mu.
func (h *holding) end() {
	h.count(-h.bytes)
	h.ended = true
}

// count adds to all three sums; the caller holds set.mu.
func (h *holding) count(n int64) {
	if n == 0 {
		return
	}
	of := h.set.owners[h.owner]
	if of == nil {
		of = &holders{all: map[*holding]struct{}{}}
		h.set.owners[h.owner] = of
	}
	if h.bytes == 0 {
		h.set.begun++
		h.since = h.set.begun
		of.all[h] = struct{}{}
	}
	h.bytes += n
	of.bytes += n
	h.set.total += n
	if h.bytes == 0 {
		delete(of.all, h)
	}
	if len(of.all) == 0 {
		delete(h.set.owners, h.owner)
	}
}

// cutOne cuts the oldest holding of the address that holds most; the caller holds
// mu. Its memory is free as soon as its handler notices.
func (s *holdings) cutOne() {
	most := slices.MaxFunc(slices.Collect(maps.Values(s.owners)), func(a, b *holders) int { return cmp.Compare(a.bytes, b.bytes) })
	oldest := slices.MinFunc(slices.Collect(maps.Keys(most.all)), func(a, b *holding) int { return cmp.Compare(a.since, b.since) })
	s.log.Warn("cut a request: all together held too much, and its address most", "bytes", oldest.bytes, "of", most.bytes, "in_all", s.total)
	oldest.end()
	oldest.cut()
}

// holder is a ResponseWriter that knows the holding of its request.
type holder interface{ hold(n int) }

// hold implements holder: what the request holds until it is answered.
func (w *recorder) hold(n int) { w.held.add(n) }

// cut has the request's reads and writes fail. Reads are the last: whose body was
// cut gives itself time to say so.
func (w *recorder) cut() {
	line := http.NewResponseController(w.ResponseWriter)
	_ = line.SetWriteDeadline(time.Unix(1, 0))
	_ = line.SetReadDeadline(time.Unix(1, 0))
}

// holdMore counts what is kept for a request.
func holdMore(w http.ResponseWriter, n int) {
	if h, ok := w.(holder); ok { // as all writers are that come through recoverPanics
		h.hold(n)
	}
}

// arriving counts the bytes of a body as they come.
type arriving struct {
	io.Reader
	w     http.ResponseWriter
	since int // what came since it was counted last
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if a.since += n; a.since >= heldUnseen {
		holdMore(a.w, a.since)
		a.since = 0
	}
	return n, err
}
