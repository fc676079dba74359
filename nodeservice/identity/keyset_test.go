package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

// A key that cannot be used is passed over; the others of its set are not.
func TestUnusableKeysArePassedOver(t *testing.T) {
	good := newForeignKey(t, "good", identity.EdDSA)
	ed, ec, rs := newForeignKey(t, "k1", identity.EdDSA), newForeignKey(t, "k1", identity.ES256), newForeignKey(t, "k1", identity.RS256)
	twin := newForeignKey(t, "k1", identity.EdDSA)
	for name, set := range map[string]struct {
		key     foreignKey
		entries []claimSet
	}{
		"private Ed25519":  {ed, []claimSet{ed.jwk().with("d", testSeed)}},
		"private P-256":    {ec, []claimSet{ec.jwk().with("d", testSeed)}},
		"private RSA":      {rs, []claimSet{rs.jwk().with("p", "AQAB")}},
		"for encryption":   {rs, []claimSet{rs.jwk().with("use", "enc")}},
		"use null":         {ed, []claimSet{ed.jwk().with("use", []int{})}},
		"for signing only": {ed, []claimSet{ed.jwk().with("key_ops", []string{"sign"})}},
		"alg of another":   {rs, []claimSet{rs.jwk().with("alg", "PS256")}},
		"alg HS256":        {rs, []claimSet{rs.jwk().with("alg", "HS256")}},
		"alg no text":      {rs, []claimSet{rs.jwk().with("alg", 256)}},
		"no kid":           {ed, []claimSet{ed.jwk().with("kid", nil)}},
		"long kid":         {newForeignKey(t, strings.Repeat("k", 257), identity.EdDSA), []claimSet{ed.jwk().with("kid", strings.Repeat("k", 257))}},
		"oct":              {ed, []claimSet{ed.jwk().with("kty", "oct").with("k", testSeed)}},
		"X25519":           {ed, []claimSet{ed.jwk().with("crv", "X25519")}},
		"P-384":            {ec, []claimSet{ec.jwk().with("crv", "P-384")}},
		"small order":      {ed, []claimSet{ed.jwk().with("x", encode(string(unhex(t, smallOrder[4]))))}},
		"off the curve":    {ec, []claimSet{ec.jwk().with("x", testPublic)}},
		"padded n":         {rs, []claimSet{rs.jwk().with("n", text(rs.jwk()["n"])+"=")}},
		"n with a zero":    {rs, []claimSet{rs.jwk().with("n", encode("\x00"+string(decode(t, text(rs.jwk()["n"])))))}},
		"n even":           {rs, []claimSet{rs.jwk().with("n", encode(strings.Repeat("\xf0", 256)))}},
		"n of 1024 bits":   {rs, []claimSet{rs.jwk().with("n", encode(strings.Repeat("\xf1", 128)))}},
		"n of 16384 bits":  {rs, []claimSet{rs.jwk().with("n", encode(strings.Repeat("\xf1", 2048)))}},
		"e = 1":            {rs, []claimSet{rs.jwk().with("e", encode("\x01"))}},
		"e even":           {rs, []claimSet{rs.jwk().with("e", encode("\x01\x00\x00"))}},
		"e too large":      {rs, []claimSet{rs.jwk().with("e", encode("\xff\xff\xff\xff"))}},
		"e larger still":   {rs, []claimSet{rs.jwk().with("e", encode("\x01\x00\x00\x01\x00\x01"))}},
		"e missing":        {rs, []claimSet{rs.jwk().with("e", nil)}},
		"one kid, two":     {ed, []claimSet{ed.jwk(), twin.jwk()}},
		"one kid, three":   {ed, []claimSet{ed.jwk(), twin.jwk(), ed.jwk()}},
	} {
		v := trusting(t, newJWKSFile(t, jwksOfEntries(append(set.entries, good.jwk())...)).policy())
		if _, err := v.Verify(t.Context(), set.key.token(t), noon); !errors.Is(err, identity.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := v.Verify(t.Context(), good.token(t), noon); err != nil {
			t.Errorf("%s: its neighbour: %v", name, err)
		}
	}
}

func TestUsableKeySets(t *testing.T) {
	ed, ec, rs := newForeignKey(t, "k1", identity.EdDSA), newForeignKey(t, "k1", identity.ES256), newForeignKey(t, "k1", identity.RS256)
	ps := foreignKey{"k1", identity.PS256, rs.private}
	bare := []claimSet{}
	for _, key := range []foreignKey{ed, ec, rs} {
		bare = append(bare, key.jwk().with("alg", nil).with("use", nil).with("x5c", []string{"AA=="}))
	}
	for name, set := range map[string]string{
		"one kid, each kind": jwksOfEntries(ed.jwk(), ec.jwk(), rs.jwk(), ps.jwk()),
		"the same twice":     jwksOfEntries(ed.jwk(), ed.jwk(), ec.jwk(), rs.jwk(), ps.jwk()),
		"without alg":        jwksOfEntries(bare...),
		"members besides":    strings.Replace(jwksOfEntries(bare...), "{", `{"iss":"x","next":null,`, 1),
		"strangers among":    strings.Replace(jwksOfEntries(bare...), "[", `[null,1,"x",[],{},{"kty":"AKP","alg":"ML-DSA-44","kid":"k1","pub":"AA"},`, 1),
	} {
		v := trusting(t, newJWKSFile(t, set).policy())
		for _, key := range []foreignKey{ed, ec, rs, ps} {
			if _, err := v.Verify(t.Context(), key.token(t), noon); err != nil {
				t.Errorf("%s: %s: %v", name, key.algorithm, err)
			}
		}
	}
}
