package identity_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

// jwksServer is an issuer's web server: it counts who asks, and its answer can be
// changed.
type jwksServer struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newJWKSServer(t *testing.T, content string) *jwksServer {
	t.Helper()
	s := &jwksServer{}
	s.serve(content)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *jwksServer) serve(content string) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) })
}

func (s *jwksServer) handle(answer http.HandlerFunc) { s.answer.Store(&answer) }

func (s *jwksServer) policy() identity.IssuerPolicy {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return identity.IssuerPolicy{Issuer: foreignIssuer, Audience: audience, JWKSURL: s.URL + "/jwks.json", RootCAs: roots}
}

func (s *jwksServer) askedTimes(t *testing.T, want int32) {
	t.Helper()
	if got := s.asked.Load(); got != want {
		t.Errorf("the issuer was asked %d times, want %d", got, want)
	}
}

func verifies(t *testing.T, v *identity.Verifier, token string, now time.Time) identity.Token {
	t.Helper()
	got, err := v.Verify(t.Context(), token, now)
	if err != nil {
		t.Error(err)
	}
	return got
}

func fails(t *testing.T, v *identity.Verifier, token string, now time.Time, want error) {
	t.Helper()
	got, err := v.Verify(t.Context(), token, now)
	if !errors.Is(err, want) || got != (identity.Token{}) {
		t.Errorf("%+v, %v; want %v", got, err, want)
	}
	for _, inside := range []string{"127.0.0.1", "http", "jwks", "dial", "refused:"} {
		if err != nil && strings.Contains(err.Error(), inside) {
			t.Errorf("the client is shown %q: %v", inside, err)
		}
	}
}

func TestIssuerRotatesWithoutOurRestart(t *testing.T) {
	one, two := newForeignKey(t, "one", identity.EdDSA), newForeignKey(t, "two", identity.RS256)
	server := newJWKSServer(t, jwksOf(one))
	v := trusting(t, server.policy())
	server.askedTimes(t, 0)
	verifies(t, v, one.token(t), noon)
	verifies(t, v, one.token(t), noon)
	server.askedTimes(t, 1)
	server.serve(jwksOf(one, two))
	fails(t, v, two.token(t), noon.Add(59*time.Second), identity.ErrToken) // the minute has not passed
	server.askedTimes(t, 1)
	verifies(t, v, two.token(t), noon.Add(60*time.Second))
	verifies(t, v, one.token(t), noon.Add(61*time.Second))
	server.askedTimes(t, 2)
}

func TestUnknownKidsCannotFloodTheIssuer(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	server := newJWKSServer(t, jwksOf(key))
	v := trusting(t, server.policy())
	unknown := make([]string, 64)
	for i := range unknown {
		unknown[i] = key.sign(t, foreignKey{kid: rand8(t), algorithm: identity.EdDSA}.header(), foreignClaims())
	}
	for minute := range int32(3) {
		var all sync.WaitGroup
		for i, token := range unknown {
			// Callers took their time a little earlier or later than one another.
			now := noon.Add(time.Duration(minute)*2*time.Minute + time.Duration(i-32)*100*time.Millisecond)
			all.Go(func() { fails(t, v, token, now, identity.ErrToken) })
		}
		all.Wait()
		server.askedTimes(t, minute+1)
	}
	verifies(t, v, key.token(t), noon.Add(4*time.Minute))
	server.askedTimes(t, 3)
}

func TestFloodWhileTheIssuerIsAway(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	server := newJWKSServer(t, "")
	v := trusting(t, server.policy())
	for second := range 120 {
		fails(t, v, key.token(t), noon.Add(time.Duration(second)*time.Second), identity.ErrIssuerUnavailable)
	}
	server.askedTimes(t, 2)
}

func TestAClockSetBackDoesNotStopFetching(t *testing.T) {
	one, two := newForeignKey(t, "one", identity.EdDSA), newForeignKey(t, "two", identity.EdDSA)
	server := newJWKSServer(t, jwksOf(one))
	v := trusting(t, server.policy())
	verifies(t, v, one.token(t), noon)
	server.serve(jwksOf(two))
	before := noon.Add(-time.Hour)
	claims := foreignClaims().with("iat", before.Unix())
	verifies(t, v, two.sign(t, two.header(), claims), before)
	server.askedTimes(t, 2)
}

// Whatever the issuer's server does, the keys at hand stay in use, and without any
// the client is told to come again.
func TestIssuerAwayOrBroken(t *testing.T) {
	key, next := newForeignKey(t, "k1", identity.EdDSA), newForeignKey(t, "k2", identity.EdDSA)
	elsewhere := newJWKSServer(t, jwksOf(key, next))
	for name, answer := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404 with a set": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, jwksOf(next))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"redirect at home": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"hang-up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, jwksOf(next))
		},
		"oversize": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, jwksOf(next)+strings.Repeat(" ", 1<<20))
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<16))
			}
		},
		"headers without end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			_, _ = io.WriteString(w, jwksOf(next))
		},
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"HTML":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"a list":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "["+next.jwk().text()+"]") },
		"keys twice": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[],"keys":[]}`) },
		"keys null":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":null}`) },
		"too many": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat(`{},`, 256)+next.jwk().text()+`]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newJWKSServer(t, jwksOf(key))
			v, newcomer := trusting(t, server.policy()), trusting(t, server.policy())
			remembered := key.token(t)
			verifies(t, v, remembered, noon)
			server.handle(answer)
			fails(t, newcomer, remembered, noon, identity.ErrIssuerUnavailable)
			for minute := range 10 {
				now := noon.Add(time.Duration(minute) * time.Minute)
				verifies(t, v, remembered, now)
				verifies(t, v, key.token(t), now)
			}
			fails(t, v, next.token(t), noon.Add(10*time.Minute), identity.ErrIssuerUnavailable)
			if err := v.Refresh(t.Context(), noon.Add(11*time.Minute)); !errors.Is(err, identity.ErrIssuers) {
				t.Errorf("the operator is told %v", err)
			}
			server.serve(jwksOf(next))
			verifies(t, v, next.token(t), noon.Add(12*time.Minute))
			fails(t, v, remembered, noon.Add(12*time.Minute), identity.ErrToken)
		})
	}
	elsewhere.askedTimes(t, 0)
}

// The log has one line when an issuer's keys cannot be had, with the cause, and
// one when they can again.
func TestOperatorsAreTold(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	file := newJWKSFile(t, "broken")
	var lines bytes.Buffer
	v := identity.NewVerifier(identity.VerifierConfig{Issuer: audience, Audience: audience, Keys: testKeys(t),
		External: []identity.IssuerPolicy{file.policy()}, Log: slog.New(slog.NewTextHandler(&lines, nil))})
	defer v.Close()
	for second := range 5 {
		fails(t, v, key.token(t), noon.Add(time.Duration(second)*time.Second), identity.ErrIssuerUnavailable)
	}
	file.write(jwksOf(key))
	for second := range 5 {
		verifies(t, v, key.token(t), noon.Add(time.Duration(5+second)*time.Second))
	}
	if got := strings.Count(lines.String(), "\n"); got != 2 || !strings.Contains(lines.String(), file.path) || !strings.Contains(lines.String(), "issuer="+foreignIssuer) {
		t.Errorf("%d lines: %s", got, lines.String())
	}
}

func TestUnknownCertificateIsRefused(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	server := newJWKSServer(t, jwksOf(key))
	policy := server.policy()
	policy.RootCAs = x509.NewCertPool()
	fails(t, trusting(t, policy), key.token(t), noon, identity.ErrIssuerUnavailable)
}

// The fetch does not belong to who asked first, and no one waits longer than his
// context.
func TestSlowIssuer(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	server := newJWKSServer(t, "")
	entered, release := make(chan struct{}), make(chan struct{})
	server.handle(func(w http.ResponseWriter, _ *http.Request) {
		close(entered) // twice would panic: there is one fetch
		<-release
		_, _ = io.WriteString(w, jwksOf(key))
	})
	v := trusting(t, server.policy())
	impatient, leave := context.WithCancel(t.Context())
	var left, all sync.WaitGroup
	left.Go(func() {
		if _, err := v.Verify(impatient, key.token(t), noon); !errors.Is(err, identity.ErrIssuerUnavailable) {
			t.Errorf("one who left: %v", err)
		}
	})
	<-entered
	for range 8 {
		all.Go(func() { verifies(t, v, key.token(t), noon) })
	}
	leave()
	left.Wait()
	if _, err := v.Verify(impatient, key.token(t), noon); !errors.Is(err, identity.ErrIssuerUnavailable) {
		t.Errorf("one who had left before: %v", err)
	}
	close(release)
	all.Wait()
	server.askedTimes(t, 1)
}

func TestLoadingEndsAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := identity.LoadOnce(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestCloseEndsAFetch(t *testing.T) {
	server := newJWKSServer(t, "")
	entered, ended := make(chan struct{}), make(chan struct{})
	server.handle(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
	})
	v := trusting(t, server.policy())
	token := newForeignKey(t, "k1", identity.EdDSA).token(t)
	var all sync.WaitGroup
	all.Go(func() { fails(t, v, token, noon, identity.ErrIssuerUnavailable) })
	<-entered
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	all.Wait()
	fails(t, v, token, noon.Add(time.Hour), identity.ErrIssuerUnavailable)
	server.askedTimes(t, 1)
}

// A key that leaves the set takes its remembered tokens and live sessions with it;
// a token that comes finds out by itself, and so does Refresh.
func TestWithdrawnKey(t *testing.T) {
	gone, stays := newForeignKey(t, "gone", identity.ES256), newForeignKey(t, "stays", identity.EdDSA)
	server := newJWKSServer(t, jwksOf(gone, stays))
	v := trusting(t, server.policy())
	doomed, safe := gone.token(t), stays.token(t)
	was, is := verifies(t, v, doomed, noon), verifies(t, v, safe, noon)
	server.serve(jwksOf(stays))
	for _, at := range []time.Duration{time.Second, 4 * time.Minute} {
		if err := v.Refresh(t.Context(), noon.Add(at)); err != nil || !v.StillTrusted(was) {
			t.Errorf("after %v: %v", at, err)
		}
	}
	server.askedTimes(t, 1)
	later := noon.Add(5 * time.Minute)
	verifies(t, v, safe, later) // begins a fetch, and does not wait for it
	if err := v.Refresh(t.Context(), later); err != nil {
		t.Error(err)
	}
	server.askedTimes(t, 2)
	if v.StillTrusted(was) || !v.StillTrusted(is) {
		t.Error("the wrong session would end")
	}
	fails(t, v, doomed, later, identity.ErrToken)
	verifies(t, v, safe, later)
}

func TestKidUsedAgainIsAnotherKey(t *testing.T) {
	before, after := newForeignKey(t, "k1", identity.EdDSA), newForeignKey(t, "k1", identity.EdDSA)
	file := newJWKSFile(t, jwksOf(before))
	v := trusting(t, file.policy())
	token := before.token(t)
	was := verifies(t, v, token, noon)
	file.write(jwksOf(after))
	fails(t, v, token, noon.Add(time.Second), identity.ErrToken)
	verifies(t, v, after.token(t), noon.Add(time.Second))
	if v.StillTrusted(was) {
		t.Error("the kid is the same, the key is not")
	}
}

func TestKeyFileIsReadAgainWhenItChanges(t *testing.T) {
	one, two := newForeignKey(t, "one", identity.EdDSA), newForeignKey(t, "two", identity.EdDSA)
	file := newJWKSFile(t, jwksOf(one))
	v := trusting(t, file.policy())
	token := one.token(t)
	verifies(t, v, token, noon)
	file.write(jwksOf(two))
	verifies(t, v, token, noon.Add(999*time.Millisecond)) // looked at once a second
	fails(t, v, token, noon.Add(time.Second), identity.ErrToken)
	verifies(t, v, two.token(t), noon.Add(time.Second))
	for i, broken := range []string{"", `{"keys":[`, strings.Repeat(" ", 1<<20+1), `{"keys":{}}`} {
		file.write(broken)
		now := noon.Add(time.Duration(2+i) * time.Second)
		verifies(t, v, two.token(t), now)
		fails(t, v, one.token(t), now, identity.ErrIssuerUnavailable)
	}
	file.write(jwksOf(one))
	verifies(t, v, token, noon.Add(10*time.Second))
	file.write(`{"keys":[]}`) // how an operator withdraws an issuer
	fails(t, v, token, noon.Add(11*time.Second), identity.ErrToken)
}

func TestKeyFileMustBeAFile(t *testing.T) {
	key := newForeignKey(t, "k1", identity.EdDSA)
	for _, path := range []string{t.TempDir(), t.TempDir() + "/none", "/dev/zero"} {
		policy := identity.IssuerPolicy{Issuer: foreignIssuer, Audience: audience, JWKSFile: path}
		v := trusting(t, policy)
		fails(t, v, key.token(t), noon, identity.ErrIssuerUnavailable)
		if err := v.Refresh(t.Context(), noon); !errors.Is(err, identity.ErrIssuers) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
