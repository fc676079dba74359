package identity_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/quicproquo/node/nodeservice/identity"
)

const (
	publicEntry = `    {
      "kty": "OKP",
      "crv": "Ed25519",
      "x": "` + testPublic + `",
      "kid": "` + testKid + `",
      "alg": "EdDSA",
      "use": "sig"
    }`
	publicSet = "{\n  \"keys\": [\n" + publicEntry + "\n  ]\n}\n"
)

// privateSet is the test key as Marshal writes it.
var privateSet = strings.Replace(publicSet, `      "kid"`, `      "d": "`+testSeed+"\",\n"+`      "kid"`, 1)

func testKeys(t testing.TB) *identity.SigningKeys {
	t.Helper()
	keys, err := identity.ParseSigningKeys([]byte(privateSet))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// joinKeys returns the keys of several sets in one, in order.
func joinKeys(t testing.TB, sets ...*identity.SigningKeys) *identity.SigningKeys {
	t.Helper()
	type file struct {
		Keys []json.RawMessage `json:"keys"`
	}
	var all file
	for _, set := range sets {
		var one file
		if err := json.Unmarshal(set.Marshal(), &one); err != nil {
			t.Fatal(err)
		}
		all.Keys = append(all.Keys, one.Keys...)
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := identity.ParseSigningKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func p256JWK(t testing.TB) claimSet {
	t.Helper()
	raw := newKey(t, identity.ES256).Public().Bytes()
	return claimSet{"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(raw[1:33]), "y": base64.RawURLEncoding.EncodeToString(raw[33:])}
}

// The kid is the thumbprint of RFC 8037, appendix A.3.
func TestSigningKeysAreGolden(t *testing.T) {
	keys := testKeys(t)
	if got := string(keys.JWKS()); got != publicSet {
		t.Errorf("JWKS: %s", got)
	}
	if got := string(keys.Marshal()); got != privateSet {
		t.Errorf("Marshal: %s", got)
	}
}

func TestSigningKeysRoundTrip(t *testing.T) {
	first, err := identity.GenerateSigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	keys := joinKeys(t, first, testKeys(t))
	same, err := identity.ParseSigningKeys(keys.Marshal())
	if err != nil || !bytes.Equal(same.Marshal(), keys.Marshal()) {
		t.Errorf("%v", err)
	}
	public := string(keys.JWKS())
	if strings.Contains(public, `"d"`) || strings.Count(public, `"kid"`) != 2 || !strings.Contains(public, testKid) {
		t.Errorf("JWKS: %s", public)
	}
}

func TestDamagedSigningKeysAreRefused(t *testing.T) {
	for name, replace := range map[string][2]string{
		"empty":         {privateSet, ""},
		"no keys":       {privateSet, `{"keys":[]}`},
		"null":          {privateSet, `{"keys":null}`},
		"null key":      {privateSet, `{"keys":[null]}`},
		"a bare list":   {privateSet, "[]"},
		"more members":  {`"keys"`, `"x":1,"keys"`},
		"more after":    {privateSet, privateSet + "{}"},
		"public only":   {privateSet, publicSet},
		"unknown":       {`"kty"`, `"x5c":[],"kty"`},
		"duplicate":     {`"kty"`, `"kty":"OKP","kty"`},
		"other kty":     {`"OKP"`, `"EC"`},
		"other crv":     {`"Ed25519"`, `"X25519"`},
		"other alg":     {`"EdDSA"`, `"HS256"`},
		"other use":     {`"sig"`, `"enc"`},
		"other kid":     {testKid, testPublic},
		"other x":       {testPublic, testKid},
		"other d":       {testSeed, testPublic},
		"short d":       {testSeed, testSeed[:42]},
		"padded d":      {testSeed, testSeed + "="},
		"the key twice": {"\n    }\n", "\n    },\n" + privateEntry() + "\n"},
	} {
		data := strings.Replace(privateSet, replace[0], replace[1], 1)
		keys, err := identity.ParseSigningKeys([]byte(data))
		if !errors.Is(err, identity.ErrSigningKeys) || keys != nil {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
		if strings.Contains(fmt.Sprint(err), testSeed[:12]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func privateEntry() string {
	return strings.TrimSuffix(strings.TrimPrefix(privateSet, "{\n  \"keys\": [\n"), "\n  ]\n}\n")
}
