package nodeservice

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAuditTellsPseudonymsOnly(t *testing.T) {
	var sink bytes.Buffer
	a := newAuditor(&sink, newKeyedHash([]byte("secret"), "test"), nil)
	id := newIdentity(t)
	origin := Origin{Address: mustAddr("203.0.113.77"), Door: "http"}
	r := record{event: "send", origin: origin, actor: id, channel: ChannelID{1}}
	if err := a.write(r, 1, true); err != nil {
		t.Fatal(err)
	}
	a.close()
	line := sink.String()
	if !strings.Contains(line, `"address":"203.0.113.0/24"`) || !strings.Contains(line, a.pseudonym(id.Raw())) {
		t.Errorf("the record lacks its address or actor: %s", line)
	}
	if strings.Contains(line, id.String()) || strings.Contains(line, ".77") {
		t.Errorf("the record tells too much: %s", line)
	}
}

// stuckSink blocks its first write until it is released.
type stuckSink struct {
	bytes.Buffer
	entered, release chan struct{}
	once             atomic.Bool
}

func (s *stuckSink) Write(p []byte) (int, error) {
	if s.once.CompareAndSwap(false, true) {
		close(s.entered)
		<-s.release
	}
	return s.Buffer.Write(p)
}

func TestAuditCountsWhatAStuckSinkDrops(t *testing.T) {
	sink := &stuckSink{entered: make(chan struct{}), release: make(chan struct{})}
	a := newAuditor(sink, newKeyedHash([]byte("secret"), "test"), nil)
	send := func() {
		if err := a.write(record{event: "send"}, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	send()
	<-sink.entered
	const lost = 10
	for range auditQueue + lost {
		send()
	}
	close(sink.release)
	if err := a.write(record{event: "login"}, 1, true); err != nil {
		t.Fatal(err)
	}
	a.close()
	if n := strings.Count(sink.String(), `"send"`); n != auditQueue+1 {
		t.Errorf("%d records were written, not %d", n, auditQueue+1)
	}
	if !strings.Contains(sink.String(), `"event":"audit_dropped","count":10`) {
		t.Error("the dropped records were not told")
	}
}

func TestAuditFailureRefusesWhatMustBeWrittenDown(t *testing.T) {
	a := newAuditor(failingSink{}, newKeyedHash([]byte("secret"), "test"), discardLog())
	defer a.close()
	if err := a.write(record{event: "create_channel"}, 1, true); CodeOf(err) != CodeUnavailable {
		t.Fatalf("the sink failed, and the answer is %v", err)
	}
}

type failingSink struct{}

func (failingSink) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestSuppressedFailuresAreBoundedAndCounted(t *testing.T) {
	var sink bytes.Buffer
	a := newAuditor(&sink, newKeyedHash([]byte("secret"), "test"), nil)
	one := Origin{Address: mustAddr("198.51.100.1")}
	for range 3 {
		a.suppress(one)
	}
	a.flushFailures(1)
	for i := range 2 * auditedAddresses {
		a.suppress(Origin{Address: mustAddr("10.0.0.0").Next(), Door: string(rune(i))})
		a.suppress(Origin{Address: addressNumber(i)})
	}
	if n := a.failures.Len(); n > auditedAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
	a.close()
	if !strings.Contains(sink.String(), `"event":"failures","address":"198.51.100.0/24","count":3`) {
		t.Errorf("three failures were not counted in one record: %s", sink.String())
	}
}
