package nodetest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// The suite's own promises: it finds what leaked, and misses no cell.

func TestSecretsAreFoundInEverySpelling(t *testing.T) {
	var s secrets
	raw := randomBytes(65)
	s.add("identity", raw)
	s.add("short", []byte("{}"))
	for _, spelled := range []string{
		string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.RawURLEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw[:30]), // cut short
	} {
		if found := s.in([]byte(`{"actor":"` + spelled + `"}`)); len(found) == 0 {
			t.Errorf("not found: %q", spelled)
		}
	}
	if found := s.in([]byte(`{"actor":"` + hex.EncodeToString(randomBytes(65)) + `"}`)); found != nil {
		t.Errorf("found what is not there: %v", found)
	}
}

func TestTokensAreFoundByTheirSignature(t *testing.T) {
	var s secrets
	signature := base64.RawURLEncoding.EncodeToString(randomBytes(64))
	s.addToken("eyJhbGciOiJFZERTQSIsInR5cCI6InFwcS1hdCtqd3QifQ." + strings.Repeat("A", 100) + "." + signature)
	if found := s.in([]byte("refused ..." + signature)); len(found) != 1 {
		t.Errorf("found %v, want the signature", found)
	}
}

func TestMissingCellsAreNamed(t *testing.T) {
	m := &matrix{
		doors:      []Door{{Name: "direct", Has: Drain}, {Name: "http"}},
		engines:    []Engine{{Name: "model"}},
		behaviours: []Behaviour{{Name: "drains", Needs: Drain}, {Name: "sends"}, {Name: "reads"}},
		cells: map[cell]string{{"direct", "model", "drains"}: "ok", {"http", "model", "sends"}: "FAIL",
			{"direct", "model", "reads"}: "ok", {"http", "model", "reads"}: "ok"},
	}
	if got := fmt.Sprint(m.missing()); got != "[{direct model sends}]" {
		t.Errorf("missing are %s", got)
	}
	for failed, want := range map[bool]string{
		false: "behaviour direct/model http/model, 1 drains ok -, 2 sends missing FAIL, 3 reads ok ok",
		true:  "behaviour direct/model http/model, 2 sends missing FAIL",
	} {
		var rows []string
		for _, row := range strings.Split(strings.TrimSpace(m.table(failed)), "\n") {
			rows = append(rows, strings.Join(strings.Fields(row), " "))
		}
		if got := strings.Join(rows, ", "); got != want {
			t.Errorf("table, failed %v: %s", failed, got)
		}
	}
}

func TestBehavioursHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Behaviours() {
		if b.Name == "" || b.Run == nil || seen[b.Name] || strings.Contains(b.Name, "/") {
			t.Errorf("behaviour %q has no name of its own, a slash in it, or nothing to run", b.Name)
		}
		seen[b.Name] = true
	}
}
