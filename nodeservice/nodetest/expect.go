package nodetest

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/quicproquo/node/nodeservice"
)

// ok ends the behaviour on an error.
func (w *World) ok(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("unexpected error: %v (cause: %v)", err, nodeservice.AsError(err).Cause)
	}
}

// refused demands a code and a sentence, and returns what came with them.
func (w *World) refused(err error, code nodeservice.Code) *nodeservice.Error {
	w.T.Helper()
	if nodeservice.CodeOf(err) != code {
		w.T.Fatalf("got %q (%v), want %q", nodeservice.CodeOf(err), err, code)
	}
	refusal := nodeservice.AsError(err)
	if refusal.Detail == "" {
		w.T.Errorf("%s comes without a sentence", code)
	}
	return refusal
}

// refusedWithHead demands a code that comes with the channel's head.
func (w *World) refusedWithHead(err error, code nodeservice.Code, head seq) {
	w.T.Helper()
	refusal := w.refused(err, code)
	if refusal.Head == nil {
		w.T.Fatalf("%s comes without the head, want %d", code, head)
	}
	equal(w, "head", *refusal.Head, head)
}

// equal ends the behaviour unless got is want.
func equal[T comparable](w *World, what string, got, want T) {
	w.T.Helper()
	if got != want {
		w.T.Fatalf("%s is %s, want %s", what, show(got), show(want))
	}
}

// show keeps bytes that are no text readable, and short.
func show(v any) string {
	if text, ok := v.(string); ok {
		return fmt.Sprintf("%.120q", text)
	}
	return fmt.Sprintf("%v", v)
}

// holds ends the behaviour unless a page has exactly these payloads, in order
// and with ascending seqs.
func (w *World) holds(page nodeservice.Page, payloads ...[]byte) {
	w.T.Helper()
	if len(page.Messages) != len(payloads) {
		w.T.Fatalf("%d messages (seqs %v), want %d", len(page.Messages), seqsOf(page), len(payloads))
	}
	var last seq
	for i, m := range page.Messages {
		if !bytes.Equal(m.Payload, payloads[i]) {
			w.T.Fatalf("message %d (seq %d) has not the payload that was sent", i, m.Seq)
		}
		if m.Seq <= last {
			w.T.Fatalf("seqs %v do not ascend", seqsOf(page))
		}
		last = m.Seq
	}
}

// gap demands a page's gap.
func (w *World) gap(page nodeservice.Page, want nodeservice.Gap) {
	w.T.Helper()
	if page.Gap == nil {
		w.T.Fatalf("no gap, want %v", want)
	}
	equal(w, "gap", *page.Gap, want)
}

func (w *World) noGap(page nodeservice.Page) {
	w.T.Helper()
	if page.Gap != nil {
		w.T.Fatalf("gap %v, want none", *page.Gap)
	}
}

func seqsOf(page nodeservice.Page) (seqs []seq) {
	for _, m := range page.Messages {
		seqs = append(seqs, m.Seq)
	}
	return seqs
}

// outcome is what a call that runs beside the behaviour gave.
type outcome[T any] struct {
	value T
	err   error
}

// start runs a call beside the behaviour. Its answer can always be given, so
// that the goroutine ends with the call, which ends with the world's context.
func start[T any](call func() (T, error)) <-chan outcome[T] {
	answer := make(chan outcome[T], 1)
	go func() {
		value, err := call()
		answer <- outcome[T]{value, err}
	}()
	return answer
}

// all runs n calls at once and waits for all answers.
func all[T any](n int, call func(i int) (T, error)) []outcome[T] {
	outcomes := make([]outcome[T], n)
	gate := make(chan struct{})
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			<-gate
			value, err := call(i)
			outcomes[i] = outcome[T]{value, err}
		})
	}
	close(gate)
	calls.Wait()
	return outcomes
}

func seqPtr(s seq) *seq { return &s }
