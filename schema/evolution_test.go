package schema_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"capnproto.org/go/capnp/v3"
	compiled "capnproto.org/go/capnp/v3/std/capnp/schema"
)

// released are the schemas that clients were built from: the frozen version 0, and
// version 1 as of its last release. A release copies node.capnp over the latter.
var released = []string{"testdata/schema0/node0.capnp", "testdata/released/node1.capnp"}

// TestEvolution compares what the compiler makes of today's schema with what it
// makes of the released ones: everything that clients rely on is there and the same.
func TestEvolution(t *testing.T) {
	today := promisesOf(t, "node.capnp")
	for _, file := range released {
		before := promisesOf(t, file)
		if len(before) < 30 {
			t.Fatalf("%s promises %d things: the check reads nothing", file, len(before))
		}
		for _, broken := range today.breaks(before) {
			t.Errorf("%s: %s", file, broken)
		}
	}
}

// promises are what a schema lets its clients rely on: for each thing with a place
// on the wire (a node by its id, a field, method or enumerant by its ordinal), all
// that must stay. Sizes may grow, comments and constants may change.
type promises map[string]string

// breaks compares with a schema of before, and is empty if nothing of it changed.
func (now promises) breaks(before promises) (broken []string) {
	for place, was := range before {
		if is, there := now[place]; !there {
			broken = append(broken, fmt.Sprintf("%s is gone: %s", place, was))
		} else if is != was {
			broken = append(broken, fmt.Sprintf("%s was %s, and is %s", place, was, is))
		}
	}
	slices.Sort(broken)
	return broken
}

// promisesOf compiles a schema and reads what the compiler would give to a
// generator of code.
func promisesOf(t *testing.T, file string) promises {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "capnp", "compile", "-o-", "-I"+standard(t), file)
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		t.Fatalf("compiling %s (which needs capnp): %v\n%s", file, err, failure.String())
	}
	msg, err := capnp.Unmarshal(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	request, err := compiled.ReadRootCodeGeneratorRequest(msg)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := request.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	p := promises{}
	for i := range nodes.Len() {
		if err := p.node(nodes.At(i)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// standard is where the schema finds go.capnp.
func standard(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "capnproto.org/go/capnp/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "std")
}

func (p promises) node(n compiled.Node) error {
	name, err := n.DisplayName()
	if err != nil {
		return err
	}
	at := fmt.Sprintf("%#x", n.Id())
	switch n.Which() {
	case compiled.Node_Which_structNode:
		err = p.structure(at, n.StructNode())
	case compiled.Node_Which_interface:
		err = p.methods(at, n.Interface())
	case compiled.Node_Which_enum:
		err = p.enumerants(at, n.Enum())
	default: // files have names, constants may change, annotations are not ours
		return nil
	}
	p[at] = n.Which().String() + " " + name[n.DisplayNamePrefixLength():]
	return err
}

func (p promises) structure(at string, s compiled.Node_structNode) error {
	if s.DiscriminantCount() > 0 {
		p[at+" union"] = fmt.Sprint("at ", s.DiscriminantOffset())
	}
	fields, err := s.Fields()
	if err != nil {
		return err
	}
	for i := range fields.Len() {
		if err := p.field(at, fields.At(i)); err != nil {
			return err
		}
	}
	return nil
}

// field is at its ordinal; a group has none, and is at its name.
func (p promises) field(at string, f compiled.Field) error {
	name, err := f.Name()
	if err != nil {
		return err
	}
	member := ""
	if f.DiscriminantValue() != compiled.Field_noDiscriminant {
		member = fmt.Sprint(", union member ", f.DiscriminantValue())
	}
	if f.Which() == compiled.Field_Which_group {
		p[at+" group "+name] = fmt.Sprintf("%#x%s", f.Group().TypeId(), member)
		return nil
	}
	slot := f.Slot()
	of, err := slot.Type()
	if err != nil {
		return err
	}
	kind, err := kindOf(of)
	if err != nil {
		return err
	}
	value, err := slot.DefaultValue()
	if err != nil {
		return err
	}
	byDefault, err := capnp.Canonicalize(capnp.Struct(value))
	p[fmt.Sprintf("%s field @%d", at, f.Ordinal().Explicit())] =
		fmt.Sprintf("%s, %s, default %x, at %d%s", name, kind, byDefault, slot.Offset(), member)
	return err
}

// kindOf is a type in words, with the ids of what it names.
func kindOf(of compiled.Type) (string, error) {
	kind := of.Which().String()
	switch of.Which() {
	case compiled.Type_Which_list:
		element, err := of.List().ElementType()
		if err != nil {
			return "", err
		}
		inner, err := kindOf(element)
		return kind + " of " + inner, err
	case compiled.Type_Which_structType:
		return fmt.Sprintf("%s %#x", kind, of.StructType().TypeId()), nil
	case compiled.Type_Which_enum:
		return fmt.Sprintf("%s %#x", kind, of.Enum().TypeId()), nil
	case compiled.Type_Which_interface:
		return fmt.Sprintf("%s %#x", kind, of.Interface().TypeId()), nil
	}
	return kind, nil
}

func (p promises) methods(at string, i compiled.Node_interface) error {
	methods, err := i.Methods()
	if err != nil {
		return err
	}
	for n := range methods.Len() {
		m := methods.At(n)
		name, err := m.Name()
		if err != nil {
			return err
		}
		p[fmt.Sprintf("%s method @%d", at, n)] = fmt.Sprintf("%s (%#x) -> (%#x)", name, m.ParamStructType(), m.ResultStructType())
	}
	return nil
}

func (p promises) enumerants(at string, e compiled.Node_enum) error {
	enumerants, err := e.Enumerants()
	if err != nil {
		return err
	}
	for n := range enumerants.Len() {
		name, err := enumerants.At(n).Name()
		if err != nil {
			return err
		}
		p[fmt.Sprintf("%s enumerant @%d", at, n)] = name
	}
	return nil
}

// TestEvolutionCatches changes today's schema in each way that breaks clients, and
// in each way that does not.
func TestEvolutionCatches(t *testing.T) {
	before := promisesOf(t, "node.capnp")
	for name, change := range map[string]struct {
		old, new string
		caught   string // something of what is said; "": the change is allowed
	}{
		"two fields swapped":      {"head @1 :UInt64;\n  acked @2", "acked @1 :UInt64;\n  head @2", "was head"},
		"another type":            {"receivedAt @2 :Int64", "receivedAt @2 :UInt64", "uint64"},
		"a list of another type":  {"suites :List(UInt16)", "suites :List(UInt32)", "uint32"},
		"a list made of structs":  {"payloads :List(Data), page", "payloads :List(Message), page", "was payloads"},
		"another default":         {"through @7 :UInt64", "through @7 :UInt64 = 1", "default"},
		"another default of text": {"detail @1 :Text", "detail @1 :Text = \"x\"", "default"},
		"a parameter's default":   {"keep :Bool)\n    -> (payloads :List(Data), page :Page, error :NodeError);\n  # Version", "keep :Bool = true)\n    -> (payloads :List(Data), page :Page, error :NodeError);\n  # Version", "default"},
		"another struct's id":     {"struct Page @0xf4a90c3d17e8b265", "struct Page @0xf4a90c3d17e8b266", "struct"},
		"another interface's id":  {"@0xc8d70e91b25a4f36", "@0xc8d70e91b25a4f37", "interface"},
		"another enum's id":       {"@0xea6c38d2915f07b4", "@0xea6c38d2915f07b5", "enum"},
		"a field dropped":         {"  jwks @11 :Text;         # for a gateway that stands apart\n", "", "is gone"},
		"a field renamed":         {"durability @4", "endurance @4", "was durability"},
		"a method dropped":        {"  revoke @16 (auth :Auth, version :UInt16) -> (error :NodeError);\n", "", "is gone"},
		"a method renamed":        {"renew @15", "prolong @15", "was renew"},
		"a method in between":     {"  revoke @16", "  more @16 () -> ();\n  revoke @17", "was revoke"},
		"a parameter put first":   {"(auth :Auth, version :UInt16) -> (error :NodeError);\n}", "(version :UInt16, auth :Auth) -> (error :NodeError);\n}", "was auth"},
		"an enumerant dropped":    {"    internal @15;\n", "", "is gone"},
		"two enumerants swapped":  {"expired @1;\n    acked @2", "acked @1;\n    expired @2", "was expired"},
		"a field into a union":    {"from @0 :UInt64;\n  to @1 :UInt64;", "union {\n    from @0 :UInt64;\n    to @1 :UInt64;\n  }", "union member"},
		"a union's member out":    {"union {\n    any @0 :Void;\n    is @1 :UInt64;\n  }", "any @0 :Void;\n  is @1 :UInt64;", "is gone"},
		"a group of before":       {"tokenExpiring :group", "tokenEnding :group", "is gone"},

		"a field appended":       {"acked @5 :UInt64;\n}", "acked @5 :UInt64;\n  more @6 :Text;\n}", ""},
		"a parameter appended":   {"unanswered :UInt32)", "unanswered :UInt32, more :Data)", ""},
		"a method appended":      {"  revoke @16", "  more @17 () -> ();\n  revoke @16", ""},
		"an enumerant appended":  {"internal @15;", "internal @15;\n    more @16;", ""},
		"a member appended":      {"is @1 :UInt64;", "is @1 :UInt64;\n    more @2 :Text;", ""},
		"a comment":              {"# Unix ms\n}", "# Unix milliseconds\n}", ""},
		"the version":            {"version :UInt16 = 1;", "version :UInt16 = 2;", ""},
		"an interface and a use": {"struct IfHead", "struct More { s @0 :EventSink; }\nstruct IfHead", ""},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Join(promisesOf(t, changed(t, change.old, change.new)).breaks(before), "\n")
			if change.caught == "" && broken != "" || !strings.Contains(broken, change.caught) {
				t.Errorf("wanted %q, found:\n%s", change.caught, broken)
			}
		})
	}
}

// changed writes today's schema with one change.
func changed(t *testing.T, old, new string) string {
	t.Helper()
	text, err := os.ReadFile("node.capnp")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), old) == 0 {
		t.Fatalf("the schema has no %q any more", old)
	}
	file := filepath.Join(t.TempDir(), "node.capnp")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
