package storetest_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice/storetest"
)

// faultVariable names the fault of TestFaultyEngine to a test binary run again.
const faultVariable = "STORETEST_FAULT"

// TestFaultyEngine passes as long as no fault is named.
func TestFaultyEngine(t *testing.T) { storetest.Run(t, faultyEngine(os.Getenv(faultVariable))) }

const (
	eachChange = "each change alone survives a crash"
	machine    = "behaves as the model does"
)

// TestCatches runs this binary again with each fault, and for each promise that
// it breaks insists that the promise's test fails.
func TestCatches(t *testing.T) {
	for _, c := range []struct {
		fault  string
		breaks []string
	}{
		{"lost CreateChannel", []string{eachChange, machine}},
		{"lost Append", []string{eachChange, machine}},
		{"lost Ack", []string{eachChange, machine}},
		{"lost PutKeyPackages", []string{eachChange, machine}},
		{"lost ClaimKeyPackage", []string{eachChange, machine}},
		{"lost Spend", []string{eachChange, "a digest is spent once until its time"}},
		{"lost Revoke", []string{eachChange, machine}},
		{"lost Sweep", []string{"a sweep deletes what has expired and counts it"}},
		{"forgotten message ids", []string{"a message id is remembered past acknowledgement", machine}},
		{"reused seq", []string{"both directions share one dense line", "many appends at once get dense seqs of their own", machine}},
		{"stale head", []string{"of appends at one head one wins", machine}},
		{"leaked quota", []string{"an account's bytes are released by acknowledgement", machine}},
		{"shared bytes", []string{"results and arguments belong to the caller"}},
		{"falling head", []string{"the line goes on after everything was acknowledged", machine}},
		{"silent loss", []string{"the floor is what expired unacknowledged, swept or not", machine}},
		{"falling acked", []string{"acked never falls", machine}},
		{"unconditional ack", []string{"of conditional acknowledgements at once one applies", "an acknowledgement may depend on acked", machine}},
		{"double claim", []string{"a one-time key package is handed out once", machine}},
	} {
		for _, promise := range c.breaks {
			t.Run(c.fault+"/"+promise, func(t *testing.T) {
				t.Parallel()
				mustFail(t, c.fault, promise)
			})
		}
	}
}

func mustFail(t *testing.T, fault, promise string) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(promise, " ", "_")
	again := exec.CommandContext(t.Context(), self, "-test.run=^TestFaultyEngine$/^"+regexp.QuoteMeta(name)+"$",
		"-rapid.nofailfile", "-rapid.shrinktime=0", "-rapid.seed=1")
	again.Env = append(os.Environ(), faultVariable+"="+fault)
	output, err := again.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(output), "--- FAIL: TestFaultyEngine/"+name+" ") {
		t.Errorf("an engine with %q passes %q: %v\n%s", fault, promise, err, output)
	}
}
