package redistest

import (
	"bytes"
	"strings"
	"sync"
)

// maxOutput bounds what is kept of a log; tests look for what comes early.
const maxOutput = 1 << 20

// output gathers what a process logs, and tells those who wait for a line.
type output struct {
	mu      sync.Mutex
	log     bytes.Buffer             // guarded by mu
	waiting map[chan struct{}]string // guarded by mu: closed when the text is there
}

func newOutput() *output { return &output{waiting: map[chan struct{}]string{}} }

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log.Len() < maxOutput {
		o.log.Write(b)
	}
	for logged, text := range o.waiting {
		if strings.Contains(o.log.String(), text) {
			close(logged)
			delete(o.waiting, logged)
		}
	}
	return len(b), nil
}

// await is closed once the log contains text.
func (o *output) await(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	logged := make(chan struct{})
	if strings.Contains(o.log.String(), text) {
		close(logged)
	} else {
		o.waiting[logged] = text
	}
	return logged
}

func (o *output) contains(text string) bool { return strings.Contains(o.String(), text) }

// String is the log so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.String()
}
