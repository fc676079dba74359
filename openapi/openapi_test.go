package openapi_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/quicproquo/node/openapi"
)

func TestJSONSaysWhatYAMLSays(t *testing.T) {
	var written, converted any
	if err := yaml.Unmarshal(openapi.YAML(), &written); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &written); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(openapi.JSON(), &converted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(written, converted) {
		t.Error("the two differ")
	}
}

func TestJSONKeepsTheOrderOfMembers(t *testing.T) {
	if want := []byte(`{"openapi":"3.1.0","info":{"title":`); !bytes.HasPrefix(openapi.JSON(), want) {
		t.Errorf("it begins with %.80s", openapi.JSON())
	}
}

// What a caller does to its bytes is nobody else's affair.
func TestBytesAreTheCallers(t *testing.T) {
	for name, get := range map[string]func() []byte{"YAML": openapi.YAML, "JSON": openapi.JSON, "AsyncAPI": openapi.AsyncAPI} {
		clear(get())
		if get()[0] == 0 {
			t.Errorf("%s gives the same bytes twice", name)
		}
	}
}
