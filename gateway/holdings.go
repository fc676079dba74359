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
)

// holdings count what all requests and streams keep in memory while their peers
// take their time: bodies that arrive, answers and frames that are on their way.
// Nobody is refused when that is too much. Instead, of the requests of the address that
// holds most, the one that began first to hold something is cut, and so on until the
// rest fits. So a client that asks for answers and does not take them pays for it, and
// clients that hold little do not notice.
type holdings struct {
	limit int64        // bytes; static after construction
	log   *slog.Logger // static after construction

	mu     sync.Mutex
	total  int64                   // guarded by mu: bytes of all owners
	owners map[netip.Prefix]*owner // guarded by mu; those that hold something
	begun  uint64                  // guarded by mu: how many holdings have begun so far
}

// owner is a client address (IPv6: /64) and what it holds.
type owner struct {
	bytes int64                 // guarded by the set's mu: of all its holdings
	all   map[*holding]struct{} // guarded by the set's mu: those above 0
}

// holding is the part of one request or stream. What is small is not counted: it
// leaves at once, or the number of connections bounds it.
type holding struct {
	set     *holdings    // static after construction
	address netip.Prefix // of its owner; static after construction
	cut     func()       // static after construction: fails its reads and writes, and never blocks

	bytes int64  // guarded by set.mu; counted only above 0
	since uint64 // guarded by set.mu: a number that rises from one that begins to the next
	ended bool   // guarded by set.mu: closed or cut, and no longer counted
}

const (
	heldTogether = 512 << 20 // bytes of all together, unless Config.MaxHeld says otherwise
	heldUnseen   = 16 << 10  // bytes at a time that are too few to be counted
)

func newHoldings(limit int64, log *slog.Logger) *holdings {
	return &holdings{limit: limit, log: log, owners: map[netip.Prefix]*owner{}}
}

// open makes the holding of a request or stream of a client; it holds nothing yet.
func (s *holdings) open(client netip.Addr, cut func()) *holding {
	bits := 64
	if client.Is4() {
		bits = 32
	}
	address, _ := client.Prefix(bits) // no address, as on a unix socket, is the zero Prefix: all those are one owner
	return &holding{set: s, address: address, cut: cut}
}

// add counts n bytes more, or less. If all together then hold more than the limit, it
// cuts until they do not; this holding may be among those that are cut.
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
	of := h.set.owners[h.address]
	if of == nil {
		of = &owner{all: map[*holding]struct{}{}}
		h.set.owners[h.address] = of
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
		delete(h.set.owners, h.address)
	}
}

// cutOne cuts the oldest holding of the address that holds most; the caller holds mu.
// The memory is free as soon as the handler notices.
func (s *holdings) cutOne() {
	most := slices.MaxFunc(slices.Collect(maps.Values(s.owners)), func(a, b *owner) int { return cmp.Compare(a.bytes, b.bytes) })
	oldest := slices.MinFunc(slices.Collect(maps.Keys(most.all)), func(a, b *holding) int { return cmp.Compare(a.since, b.since) })
	s.log.Warn("cut a request: all together held too much, and its address most", "bytes", oldest.bytes, "of", most.bytes, "in_all", s.total)
	oldest.end()
	oldest.cut()
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
