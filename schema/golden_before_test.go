package schema_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
)

// TestGoldenOfBefore: bytes from before fields were appended are still read as
// they were, and what they lack reads as nothing.
func TestGoldenOfBefore(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "first", "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bin")
		t.Run(name, func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			old, err := capnp.Unmarshal(golden)
			if err != nil {
				t.Fatal(err)
			}
			ptr, err := old.Root()
			if err != nil {
				t.Fatal(err)
			}
			_, root := filled(t, roots[name], "")
			var lacking []string
			older(t, reflect.ValueOf(ptr.Struct()).Convert(root.Type()), root, &lacking)
			for _, field := range lacking {
				if !slices.Contains(appended, field) {
					t.Errorf("%s is lost", field)
				}
			}
		})
	}
}

// appended are the fields that came after the first golden files.
var appended = []string{"Proof", "Method", "Url", "Nonce", "Client", "ChannelId", "StreamId", "Unanswered"}

// older compares the plain values of old, and of the structs in it, with those of
// today's; fields that read as nothing are lacking.
func older(t *testing.T, old, today reflect.Value, lacking *[]string) {
	t.Helper()
	for i := range today.NumMethod() {
		name, getter := today.Type().Method(i).Name, today.Method(i)
		if getter.Type().NumIn() > 0 || name == "String" || strings.HasSuffix(name, "Bytes") {
			continue // no field, or one that was seen as text
		}
		if has := old.MethodByName("Has" + name); has.IsValid() && !has.Call(nil)[0].Bool() {
			*lacking = append(*lacking, name)
			continue
		}
		switch {
		case plain(getter.Type()) && !strings.HasPrefix(name, "Has"):
			got, want := results(old.Method(i)), results(getter)
			if reflect.ValueOf(got[0]).IsZero() && len(got) == 1 {
				*lacking = append(*lacking, name)
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%s reads as %v, was %v", name, got, want)
			}
		case name == "Auth" || name == "Error":
			older(t, old.Method(i).Call(nil)[0], getter.Call(nil)[0], lacking)
		}
	}
}
