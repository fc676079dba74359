package schema_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/schema"
	"github.com/quicproquo/node/schema/testdata/schema0"
)

var update = flag.Bool("update", false, "write golden files for types that have none")

// builder makes a new root of one type in a segment.
type builder func(*capnp.Segment) (reflect.Value, error)

func build[T any](newRoot func(*capnp.Segment) (T, error)) builder {
	return func(seg *capnp.Segment) (reflect.Value, error) {
		root, err := newRoot(seg)
		return reflect.ValueOf(root), err
	}
}

// TestGolden: a message with every field of a type set has had the same bytes
// since the type came, and is read back as it was. A difference means that the
// schema changed what exists, which it never may.
func TestGolden(t *testing.T) {
	for name, newRoot := range roots {
		for _, member := range members(t, newRoot) {
			file := strings.TrimSuffix(name+"."+member, ".")
			t.Run(file, func(t *testing.T) { compare(t, filepath.Join("testdata", "golden", file+".bin"), newRoot, member) })
		}
	}
}

func compare(t *testing.T, path string, newRoot builder, member string) {
	msg, root := filled(t, newRoot, member)
	built, err := msg.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		golden, err = built, os.WriteFile(path, built, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, golden) {
		t.Fatalf("encodes as\n%x, of old as\n%x", built, golden)
	}
	read, err := capnp.Unmarshal(golden)
	if err != nil {
		t.Fatal(err)
	}
	for i := range msg.CapTable().Len() { // which is no part of the bytes
		read.CapTable().Add(msg.CapTable().At(i))
	}
	ptr, err := read.Root()
	if err != nil {
		t.Fatal(err)
	}
	decoded := reflect.ValueOf(ptr.Struct()).Convert(root.Type())
	for i := range root.NumMethod() { // every getter of a plain value
		getter := root.Type().Method(i)
		if root.Method(i).Type().NumIn() > 0 || !plain(root.Method(i).Type()) || member != "" && getter.Name != member {
			continue
		}
		got, want := results(decoded.Method(i)), results(root.Method(i))
		if !reflect.DeepEqual(got, want) || len(got) == 0 {
			t.Errorf("%s reads as %v, was %v", getter.Name, got, want)
		}
	}
	same, err := capnp.Equal(ptr, root.Convert(reflect.TypeFor[capnp.Struct]()).Interface().(capnp.Struct).ToPtr())
	if err != nil || !same {
		t.Fatalf("reads as another message: %v", err)
	}
}

// plain says that a method returns a number, a text or bytes.
func plain(method reflect.Type) bool {
	if method.NumOut() == 0 {
		return false
	}
	switch method.Out(0).Kind() {
	case reflect.Bool, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Int64, reflect.String:
		return true
	case reflect.Slice:
		return method.Out(0).Elem().Kind() == reflect.Uint8
	}
	return false
}

func results(method reflect.Value) (values []any) {
	for _, v := range method.Call(nil) {
		values = append(values, v.Interface())
	}
	return values
}

func TestGoldenIsComplete(t *testing.T) {
	var generated []string
	for prefix, file := range map[string]string{"": "node.capnp.go", "v0_": "testdata/schema0/node0.capnp.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func NewRoot(\w+)\(`).FindAllSubmatch(code, -1) {
			generated = append(generated, prefix+string(match[1]))
		}
	}
	for _, name := range generated {
		if roots[name] == nil {
			t.Errorf("%s has no golden file", name)
		}
	}
	if len(generated) != len(roots) {
		t.Errorf("%d types are generated, %d are listed", len(generated), len(roots))
	}
}

// TestVersion0Reads what version 1 writes, and the other way round, where both
// have the field.
func TestVersion0Reads(t *testing.T) {
	msg, _ := filled(t, roots["v0_NodeService_enqueue_Params"], "")
	newer, err := schema.ReadRootNodeService_enqueue_Params(msg)
	if err != nil {
		t.Fatal(err)
	}
	if newer.Version() != 0 || newer.HasChannelId() || newer.HasIfHead() {
		t.Fatalf("a call of version 0 reads as %v", newer)
	}
	payload, err := newer.Payload()
	if err != nil || string(payload) != "SetPayload" {
		t.Fatalf("payload %q, %v", payload, err)
	}
	msg, _ = filled(t, roots["NodeService_fetch_Results"], "")
	older, err := schema0.ReadRootNodeService_fetch_Results(msg)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := older.Payloads()
	if err != nil || payloads.Len() != 2 {
		t.Fatalf("payloads %v, %v", payloads, err)
	}
}

// members are the union members of a type: one golden file each. Types without a
// union have the one member "". All unions of the schema are their whole struct.
func members(t *testing.T, newRoot builder) []string {
	_, seg := capnp.NewSingleSegmentMessage(nil)
	root, err := newRoot(seg)
	if err != nil {
		t.Fatal(err)
	}
	if !root.MethodByName("Which").IsValid() {
		return []string{""}
	}
	var names []string
	for i := range root.NumMethod() {
		if name, ok := strings.CutPrefix(root.Type().Method(i).Name, "Set"); ok {
			names = append(names, name)
		}
	}
	return names
}

// filled makes a message with every field set, to a value that tells which.
func filled(t *testing.T, newRoot builder, member string) (*capnp.Message, reflect.Value) {
	t.Helper()
	msg, seg := capnp.NewSingleSegmentMessage(nil)
	root, err := newRoot(seg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, root, member)
	return msg, root
}

// fill calls the setters of a struct in the order of their names.
func fill(t *testing.T, s reflect.Value, member string) {
	t.Helper()
	union := s.MethodByName("Which").IsValid()
	for i := range s.NumMethod() {
		setter := s.Type().Method(i).Name
		name, ok := strings.CutPrefix(setter, "Set")
		if !ok || union && member == "" && name != firstMember(s) || member != "" && name != member {
			continue
		}
		set := s.Method(i)
		if set.Type().NumIn() == 0 { // of a group, or Void
			set.Call(nil)
			if group := s.MethodByName(name); group.IsValid() {
				fill(t, group.Call(nil)[0], "")
			}
			continue
		}
		if create := s.MethodByName("New" + name); create.IsValid() {
			fillNew(t, create)
			continue
		}
		check(t, set.Call([]reflect.Value{value(set.Type().In(0), setter)}))
	}
}

func firstMember(s reflect.Value) string {
	var names []string
	for i := range s.NumMethod() {
		if name, ok := strings.CutPrefix(s.Type().Method(i).Name, "Set"); ok {
			names = append(names, name)
		}
	}
	return slices.Max(names) // the most telling ones of ours: Is, TokenExpiring
}

// fillNew makes and fills a struct, or a list of two.
func fillNew(t *testing.T, create reflect.Value) {
	t.Helper()
	if create.Type().NumIn() == 0 {
		made := create.Call(nil)
		check(t, made)
		fill(t, made[0], "")
		return
	}
	made := create.Call([]reflect.Value{reflect.ValueOf(int32(2))})
	check(t, made)
	for i := range 2 {
		index := reflect.ValueOf(i)
		if set := made[0].MethodByName("Set"); set.Type().In(1).ConvertibleTo(reflect.TypeFor[capnp.Struct]()) {
			fill(t, made[0].MethodByName("At").Call([]reflect.Value{index})[0], "")
		} else {
			check(t, set.Call([]reflect.Value{index, value(set.Type().In(1), fmt.Sprint("item ", i))}))
		}
	}
}

func value(of reflect.Type, setter string) reflect.Value {
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1) // an enum's first telling value
		if of.PkgPath() == "" {
			v.SetUint(uint64(len(setter)))
		}
	case reflect.Int64:
		v.SetInt(int64(-len(setter)))
	case reflect.String:
		v.SetString(setter)
	case reflect.Slice:
		v.SetBytes([]byte(setter))
	default: // a capability
		v.Set(reflect.ValueOf(capnp.ErrorClient(errors.New("unused"))).Convert(of))
	}
	return v
}

func check(t *testing.T, results []reflect.Value) {
	t.Helper()
	if len(results) == 0 {
		return
	}
	if err, _ := results[len(results)-1].Interface().(error); err != nil {
		t.Fatal(err)
	}
}
