package nodeservice

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

// auditor writes one JSON line per decision to a sink of its own. Identities
// and channels appear as keyed pseudonyms, addresses cut to /24 or /48; there
// is never a payload, a token or a key in it.
type auditor struct {
	names   *keyedHash // makes pseudonyms
	log     *slog.Logger
	queue   chan entry // bounded; closed by close, under mu
	done    chan struct{}
	dropped atomic.Uint64 // records lost to a full queue, told in a record of their own

	mu     sync.RWMutex
	closed bool // guarded by mu

	failuresMu sync.Mutex
	failures   *lru.Cache[string, suppressed] // guarded by failuresMu
}

const (
	auditQueue        = 4096 // records that wait for the sink
	auditedAddresses  = 4096 // addresses whose failures are counted
	pseudonymBytes    = 12
	auditBufferedSize = 64 << 10
)

// record is what a decision leaves behind; zero fields are left out.
type record struct {
	event   string
	code    Code // "": done
	origin  Origin
	actor   Identity
	peer    Identity
	channel ChannelID
	seq     Seq
	count   int
	bytes   int
	created bool
}

// entry is a record on its way to the sink.
type entry struct {
	record  record
	at      UnixMilli
	written chan<- error // nil: nobody waits
}

// line is a record as the sink sees it.
type line struct {
	Time    string `json:"time"`
	Event   string `json:"event"`
	Code    Code   `json:"code,omitempty"`
	Door    string `json:"door,omitempty"`
	Address string `json:"address,omitempty"`
	Actor   string `json:"actor,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Channel string `json:"channel,omitempty"`
	Seq     Seq    `json:"seq,omitempty"`
	Count   int    `json:"count,omitempty"`
	Bytes   int    `json:"bytes,omitempty"`
	Created bool   `json:"created,omitempty"`
}

// suppressed counts the failures of an address that got no record of their own.
type suppressed struct {
	origin Origin
	count  int
}

// newAuditor starts the goroutine that owns the sink; close ends it.
func newAuditor(sink io.Writer, names *keyedHash, log *slog.Logger) *auditor {
	failures, err := lru.New[string, suppressed](auditedAddresses)
	if err != nil {
		panic(err) // the constant above is positive
	}
	a := &auditor{names: names, log: log, failures: failures, queue: make(chan entry, auditQueue), done: make(chan struct{})}
	go a.run(sink)
	return a
}

// run writes in order and flushes when nothing waits, or somebody does. Once
// nothing waits it also tells what a full queue dropped.
func (a *auditor) run(sink io.Writer) {
	defer close(a.done)
	out := bufio.NewWriterSize(sink, auditBufferedSize)
	encoder := json.NewEncoder(out)
	for e := range a.queue {
		err := encoder.Encode(a.line(e.record, e.at))
		if n := len(a.queue); n == 0 {
			if dropped := a.dropped.Swap(0); dropped > 0 {
				err = errors.Join(err, encoder.Encode(a.line(record{event: "audit_dropped", count: int(dropped)}, e.at)))
			}
			err = errors.Join(err, out.Flush())
		} else if e.written != nil {
			err = errors.Join(err, out.Flush())
		}
		if err != nil {
			a.log.Error("audit cannot be written", "cause", err)
			out.Reset(sink) // a bufio.Writer keeps its first error; the next record tries anew
		}
		if e.written != nil {
			e.written <- err
		}
	}
}

// write hands over a record at the time it happened. With wait it returns after
// the sink has it, and an error if the sink failed; else a full queue drops the
// record and counts it. It asks for no context: what was done is recorded, also if
// whoever asked for it has gone.
func (a *auditor) write(r record, now UnixMilli, wait bool) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed && !wait {
		return nil
	}
	if a.closed {
		return shuttingDown()
	}
	e := entry{record: r, at: now}
	if !wait {
		select {
		case a.queue <- e:
		default:
			a.dropped.Add(1)
		}
		return nil
	}
	written := make(chan error, 1)
	e.written = written
	a.queue <- e
	if err := <-written; err != nil {
		return &Error{Code: CodeUnavailable, Detail: "it was done, but could not be audited", Cause: err}
	}
	return nil
}

func (a *auditor) close() {
	a.mu.Lock()
	a.closed = true
	close(a.queue)
	a.mu.Unlock()
	<-a.done
}

func (a *auditor) line(r record, now UnixMilli) line {
	l := line{
		Time: now.Time().Format("2006-01-02T15:04:05.000Z07:00"), Event: r.event, Code: r.code, Door: r.origin.Door,
		Actor: a.pseudonym(r.actor.Raw()), Peer: a.pseudonym(r.peer.Raw()),
		Seq: r.seq, Count: r.count, Bytes: r.bytes, Created: r.created,
	}
	if r.origin.Address.IsValid() {
		l.Address = r.origin.prefix(24, 48)
	}
	if !r.channel.IsZero() {
		l.Channel = a.pseudonym(string(r.channel[:]))
	}
	return l
}

// pseudonym is the same for the same name on one installation, and tells
// nothing to whoever lacks its secret.
func (a *auditor) pseudonym(name string) string {
	if name == "" {
		return ""
	}
	sum := a.names.of(name)
	return base64.RawURLEncoding.EncodeToString(sum[:pseudonymBytes])
}

// recordFailure writes a refusal down, or beyond the limit only counts it: an
// attacker must not be able to fill the disk with records.
func (s *Service) recordFailure(now UnixMilli, r record, code Code) {
	r.code = code
	limit := []Charge{{Bucket: "audited/" + r.origin.bucket(), Cost: 1, Rate: s.cfg.Rates.AuditedFailures}}
	if taken, err := s.cfg.Limiter.Take(context.Background(), now.Time(), limit); err != nil || taken.RetryAfter == 0 {
		_ = s.audit.write(r, now, false) // does not wait: drops are counted
		return
	}
	s.audit.suppress(r.origin)
}

func (a *auditor) suppress(o Origin) {
	a.failuresMu.Lock()
	defer a.failuresMu.Unlock()
	known, _ := a.failures.Get(o.bucket())
	a.failures.Add(o.bucket(), suppressed{origin: o, count: known.count + 1})
}

// flushFailures writes one counted record for each address.
func (a *auditor) flushFailures(now UnixMilli) {
	a.failuresMu.Lock()
	counted := a.failures.Values()
	a.failures.Purge()
	a.failuresMu.Unlock()
	for _, f := range counted {
		_ = a.write(record{event: "failures", origin: f.origin, count: f.count}, now, false)
	}
}

// audited records a decision as its policy says; the error is an *Error or nil.
func (s *Service) audited(r record, now UnixMilli, when recording) error {
	if when == unrecorded {
		return nil
	}
	if err := s.audit.write(r, now, when == writtenDown); err != nil {
		return AsError(err)
	}
	return nil
}
