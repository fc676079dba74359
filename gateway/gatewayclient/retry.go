package gatewayclient

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

const (
	defaultRetries   = 4
	defaultRetryWait = 30 * time.Second
	firstBackoff     = 100 * time.Millisecond // doubled with every retry
	longestBackoff   = 10 * time.Second
)

// repeat says whether a call may be made twice with the effect of once.
type repeat struct {
	safe bool

	// settled is the code of the refusal by which a repeated call learns that an earlier
	// try, whose answer was lost, took effect; "": there is none.
	settled nodeservice.Code
}

// outcome is what one try gave.
type outcome struct {
	body      []byte
	err       *nodeservice.Error // nil: all is well
	status    int                // 0: no answer came
	transient bool               // another try may fare better
}

// retrying tries until it succeeds, or until another try is of no use, not
// allowed, or would be waited for too long. It returns what the last try gave.
func (c *Client) retrying(ctx context.Context, r repeat, try func(context.Context) outcome) outcome {
	var waited time.Duration
	for tries := 1; ; tries++ {
		o := c.tryProven(ctx, try)
		if o.err != nil && tries > 1 && o.err.Code == r.settled {
			return outcome{status: o.status}
		}
		if o.err == nil || !o.transient || !r.safe || tries > c.retries || ctx.Err() != nil {
			return o
		}
		wait, worthIt := c.pause(ctx, o.err.RetryAfter, tries, waited)
		if !worthIt {
			return o
		}
		if err := c.sleep(ctx, wait); err != nil {
			return outcome{err: interrupted(errors.Join(err, o.err))}
		}
		waited += wait
	}
}

// pause is how long to wait before the next try: what the server asked for,
// else a random share of a bound that doubles, so that clients who failed together
// do not come back together. A wait beyond the call's time is not worth beginning.
func (c *Client) pause(ctx context.Context, asked time.Duration, tries int, waited time.Duration) (wait time.Duration, worthIt bool) {
	left := c.retryWait - waited
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	if asked > 0 {
		return asked, asked <= left
	}
	bound := min(firstBackoff<<min(tries-1, 10), longestBackoff, left)
	if bound <= 0 {
		return 0, false
	}
	return rand.N(bound) + 1, true
}

// sleepFor is the sleep of a Client that was given none.
func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unanswered is the outcome of a try that got no answer, or half of one. Whether it took
// effect is unknown. It is transient, unless the server's certificate is not trusted.
func unanswered(ctx context.Context, err error) outcome {
	if ctx.Err() != nil {
		return outcome{err: interrupted(errors.Join(ctx.Err(), err))}
	}
	var distrust *tls.CertificateVerificationError
	return outcome{
		err:       &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the gateway could not be reached, or did not answer", Cause: err},
		transient: !errors.As(err, &distrust),
	}
}

func interrupted(cause error) *nodeservice.Error {
	return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "the request was cancelled or ran out of time", Cause: cause}
}

// refused is the outcome of a try that was answered with an error.
func (c *Client) refused(resp *http.Response, body []byte) outcome {
	e := problemOf(resp, body)
	if e.RetryAfter == 0 {
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), c.now())
	}
	o := outcome{err: e, status: resp.StatusCode}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		o.transient = true
	}
	return o
}

// retryAfter reads a Retry-After header: seconds, or a date (RFC 9110, section
// 10.2.3). 0: it asks for nothing that makes sense.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
