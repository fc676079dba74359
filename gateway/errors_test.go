package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

func TestEveryCodeHasItsOutcome(t *testing.T) {
	statuses := map[nodeservice.Code]int{
		"invalid_argument": 400, "unauthenticated": 401, "token_expired": 401, "permission_denied": 403,
		"quota_exceeded": 403, "channel_not_found": 404, "key_package_not_found": 404, "message_id_reused": 409,
		"mailbox_full": 409, "precondition_failed": 412, "payload_too_large": 413, "rate_limited": 429,
		"unsupported_version": 400, "unavailable": 503, "internal": 500,
	}
	closes := map[nodeservice.Code]websocket.StatusCode{
		"invalid_argument": 4400, "unauthenticated": 4401, "token_expired": 4401, "permission_denied": 4403,
		"quota_exceeded": 4429, "channel_not_found": 4404, "rate_limited": 4429, "payload_too_large": 1009,
		"unavailable": 1012, "internal": 1011,
	}
	for _, code := range nodeservice.Codes() {
		o, ok := outcomes[code]
		if !ok || o.status != statuses[code] {
			t.Errorf("%s has status %d, want %d", code, o.status, statuses[code])
		}
		if want, ok := closes[code]; ok && o.close != want {
			t.Errorf("%s closes with %d, want %d", code, o.close, want)
		}
		if o.close != 1008 && o.close != 1009 && o.close != 1011 && o.close != 1012 && (o.close < 4400 || o.close > 4429) {
			t.Errorf("%s closes with %d, which no client knows", code, o.close)
		}
	}
	if len(outcomes) != len(nodeservice.Codes()) {
		t.Errorf("the table has %d rows for %d codes", len(outcomes), len(nodeservice.Codes()))
	}
	if o := outcomeOf("made_up"); o.status != 500 || o.close != 1011 {
		t.Errorf("a code that nobody knows becomes %v", o)
	}
}

func TestProblemOf(t *testing.T) {
	head := nodeservice.Seq(7)
	p := problemOf(&nodeservice.Error{Code: nodeservice.CodePreconditionFailed, Head: &head})
	if p.Status != 412 || p.Head == nil || *p.Head != 7 {
		t.Errorf("%+v", p)
	}
	p = problemOf(&nodeservice.Error{Code: nodeservice.CodeRateLimited, RetryAfter: time.Microsecond})
	if p.Status != 429 || p.RetryAfterMS != 1 || retryAfterSeconds(p.RetryAfterMS) != "1" || retryAfterSeconds(1001) != "2" {
		t.Errorf("%+v", p)
	}
	p = problemOf(&nodeservice.Error{Code: nodeservice.CodeUnsupportedVersion, MaxVersion: 1})
	if p.Status != 400 || p.MinVersion == nil || *p.MinVersion != 0 || *p.MaxVersion != 1 {
		t.Errorf("%+v", p)
	}
	p = problemOf(errors.New("a secret"))
	if p.Status != 500 || p.Code != nodeservice.CodeInternal || p.Detail == "a secret" {
		t.Errorf("%+v", p)
	}
	p = problemOf(unmatchedf(415, "x"))
	if p.Status != 415 || p.Code != nodeservice.CodeInvalidArgument || p.Detail != "x" {
		t.Errorf("%+v", p)
	}
}

// A reason fits a close frame, and is cut between characters.
func TestEndingOf(t *testing.T) {
	long := make([]rune, 200)
	for i := range long {
		long[i] = 'ä'
	}
	e := endingOf(nodeservice.Errorf(nodeservice.CodeTokenExpired, "%s", string(long)))
	if len(e.reason) > 123 || e.code != 4401 || e.reason[:15] != "token_expired: " {
		t.Errorf("%d bytes: %+v", len(e.reason), e)
	}
}
