package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quicproquo/node/nodeservice/identity"
)

const (
	lead = time.Minute
	keep = 20 * time.Minute
)

func rotate(t testing.TB, keys *identity.SigningKeys, now time.Time, lead time.Duration) *identity.SigningKeys {
	t.Helper()
	next, err := keys.Rotate(now, lead, keep)
	if err != nil {
		t.Fatal(err)
	}
	read, err := identity.ParseSigningKeys(next.Marshal())
	if err != nil || !bytes.Equal(read.Marshal(), next.Marshal()) {
		t.Fatalf("the file does not come back as it was: %v", err)
	}
	return read // as after a restart
}

func kids(t testing.TB, keys *identity.SigningKeys) (kids []string) {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(keys.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		kids = append(kids, key.Kid)
	}
	return kids
}

// Nobody is logged out by a rotation, with the verifier and the issuer running.
func TestRotationKeepsOldTokensValid(t *testing.T) {
	keys := testKeys(t)
	id := newKey(t, identity.EdDSA).Public()
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: audience, Keys: keys, TTL: 15 * time.Minute})
	verifier := newVerifier(keys, 0)
	mintAt := func(at time.Time) (string, identity.Token) {
		token, said, err := issuer.Mint(id, at)
		if err != nil {
			t.Fatal(err)
		}
		return token, said
	}
	old, _ := mintAt(noon)
	next := rotate(t, keys, noon, lead)
	keys.Replace(next)
	early, said := mintAt(noon.Add(lead - time.Millisecond))
	if said.Signer.KeyID != testKid {
		t.Error("the new key signs before others can know it")
	}
	late, said := mintAt(noon.Add(lead))
	if said.Signer.KeyID != kids(t, keys)[0] {
		t.Error("the new key does not sign")
	}
	for _, fresh := range []*identity.Verifier{verifier, newVerifier(next, 0)} {
		for _, token := range []string{old, early, late} {
			got := verifies(t, fresh, token, noon.Add(lead))
			if !fresh.StillTrusted(got) {
				t.Error("its session would end")
			}
		}
		verifies(t, fresh, early, noon.Add(15*time.Minute))
	}
}

func TestRetiredKeyVerifiesNothing(t *testing.T) {
	keys := rotate(t, testKeys(t), noon, lead)
	retires := noon.Add(lead + keep)
	claims := goodClaims().with("exp", noon.Unix()+86400)
	verifies(t, newVerifier(keys, 0), forge(t, goodHeader, claims), retires.Add(-time.Millisecond))
	fails(t, newVerifier(keys, 0), forge(t, goodHeader, claims), retires, identity.ErrToken)
	if got := kids(t, keys.ValidAt(retires.Add(-time.Millisecond))); len(got) != 2 || got[1] != testKid {
		t.Errorf("published before it retires: %v", got)
	}
	if got := kids(t, keys.ValidAt(retires)); len(got) != 1 || got[0] == testKid {
		t.Errorf("published after it has retired: %v", got)
	}
	if got := kids(t, rotate(t, keys, retires, 0)); len(got) != 2 || got[1] == testKid {
		t.Errorf("a rotation keeps the retired: %v", got)
	}
}

func TestReplacedKeyForgetsItsTokens(t *testing.T) {
	keys := testKeys(t)
	verifier := newVerifier(keys, 0)
	token, said := mint(t, keys, newKey(t, identity.EdDSA).Public(), noon)
	verifies(t, verifier, token, noon)
	other, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	keys.Replace(other)
	if verifier.StillTrusted(said) {
		t.Error("its session would go on")
	}
	fails(t, verifier, token, noon, identity.ErrToken)
	if verifier.Remembered() != 0 {
		t.Error("it is remembered")
	}
	if verifier.StillTrusted(identity.Token{}) || verifier.StillTrusted(identity.Token{Issuer: audience}) {
		t.Error("no token is trusted")
	}
}

func TestRotatingOftenIsBounded(t *testing.T) {
	keys, now := testKeys(t), noon
	rotations := 0
	for ; ; rotations++ {
		next, err := keys.Rotate(now, 0, time.Hour)
		if err != nil {
			if !errors.Is(err, identity.ErrSigningKeys) {
				t.Error(err)
			}
			break
		}
		keys, now = next, now.Add(time.Second)
	}
	if rotations != 31 {
		t.Errorf("%d rotations within the hour", rotations)
	}
	if got := kids(t, rotate(t, keys, now.Add(time.Hour), 0)); len(got) != 2 {
		t.Errorf("%d keys after it", len(got))
	}
	for _, negative := range [][2]time.Duration{{-1, 0}, {0, -1}} {
		if _, err := keys.Rotate(now, negative[0], negative[1]); !errors.Is(err, identity.ErrSigningKeys) {
			t.Error(err)
		}
	}
}

func TestRotatedFileIsGolden(t *testing.T) {
	file := string(rotate(t, testKeys(t), noon, lead).Marshal())
	if got := strings.Count(file, `"created": 1793880060.837`); got != 1 {
		t.Errorf("created is there %d times: in %s", got, strings.ReplaceAll(file, `"d"`, `-`))
	}
	if !strings.Contains(file, strings.Replace(privateEntry(), `"sig"`, `"sig",`+"\n"+`      "retired": 1793881260.837`, 1)) {
		t.Error("the old key is not as documented")
	}
	if public := string(rotate(t, testKeys(t), noon, lead).JWKS()); strings.Contains(public, "created") || strings.Contains(public, "retired") {
		t.Error("the times are published")
	}
}

func TestHostileTimesOfSigningKeys(t *testing.T) {
	for name, members := range map[string]string{
		"created a text":        `"use": "sig", "created": "1793880060"`,
		"created null":          `"use": "sig", "created": null`,
		"created negative":      `"use": "sig", "created": -1`,
		"the first one retires": `"use": "sig", "retired": 1793880060`,
		"another member":        `"use": "sig", "revoked": 1793880060`,
	} {
		data := strings.Replace(privateSet, `"use": "sig"`, members, 1)
		if _, err := identity.ParseSigningKeys([]byte(data)); data == privateSet || !errors.Is(err, identity.ErrSigningKeys) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreReplacedUnderLoad(t *testing.T) {
	keys := testKeys(t)
	issuer := identity.NewIssuer(identity.IssuerConfig{URL: audience, Keys: keys, TTL: 15 * time.Minute})
	verifier := newVerifier(keys, 4)
	id := newKey(t, identity.EdDSA).Public()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 30 {
				token, _, err := issuer.Mint(id, noon.Add(time.Second))
				if err != nil {
					t.Error(err)
				}
				verifies(t, verifier, token, noon.Add(time.Second))
			}
		})
	}
	for range 20 {
		next, err := keys.Rotate(noon, 0, keep)
		if err != nil {
			t.Fatal(err)
		}
		keys.Replace(next)
	}
	all.Wait()
}

// A clock set back must not leave us without a key.
func TestOnlyKeySignsBeforeItBegins(t *testing.T) {
	later := strings.Replace(privateSet, `"use": "sig"`, `"use": "sig", "created": 1793890000`, 1)
	keys, err := identity.ParseSigningKeys([]byte(later))
	if err != nil {
		t.Fatal(err)
	}
	token, _ := mint(t, keys, newKey(t, identity.EdDSA).Public(), noon)
	verifies(t, newVerifier(keys, 0), token, noon)
}
