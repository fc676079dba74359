// Package node_test holds the repository to its own rules: the import arrows of
// the house, and one behaviour suite through every door.
package node_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/quicproquo/node"

// A room is a package, with its path below the module.
type room struct {
	path    string
	imports []string // of its non-test files
	doc     bool
}

// forbidden are the arrows that must not exist: from a room (or what is below
// it, with /...) to an import path (likewise).
var forbidden = []struct{ from, to, why string }{
	{"nodeservice", module + "/schema/...", "the core knows no wire format"},
	{"nodeservice", module + "/gateway/...", "arrows point to the core, not to a door"},
	{"nodeservice", module + "/nodeservice/noderpc", "arrows point to the core, not to a door"},
	{"nodeservice", module + "/nodeservice/pebblestore", "the core knows no engine"},
	{"nodeservice", module + "/nodeservice/redisstore", "the core knows no engine"},
	{"gateway/...", module + "/schema/...", "the gateway speaks HTTP"},
	{"gateway/...", module + "/nodeservice/noderpc", "no arrow from door to door"},
	{"nodeservice/noderpc", module + "/gateway/...", "no arrow from door to door"},
	{"nodeservice/identity", module + "/...", "identity imports nothing of ours"},
	{"nodeservice/mls", module + "/...", "mls imports nothing of ours"},
	{"nodeservice/pebblestore", module + "/gateway/...", "engines stand below the core"},
	{"nodeservice/pebblestore", module + "/nodeservice/noderpc", "engines stand below the core"},
	{"nodeservice/pebblestore", module + "/nodeservice/redisstore", "no arrow from engine to engine"},
	{"nodeservice/redisstore/...", module + "/gateway/...", "engines stand below the core"},
	{"nodeservice/redisstore/...", module + "/nodeservice/noderpc", "engines stand below the core"},
	{"nodeservice/redisstore/...", module + "/nodeservice/pebblestore", "no arrow from engine to engine"},
	{"nodeservice/nodetest", module + "/nodeservice/noderpc", "a door is given to the suite"},
	{"nodeservice/nodetest", module + "/gateway/...", "a door is given to the suite"},
	{"nodeservice/nodetest", module + "/nodeservice/pebblestore", "an engine is given to the suite"},
	{"nodeservice/crashtest", module + "/nodeservice/noderpc", "a door is given to the kit"},
	{"nodeservice/crashtest", module + "/gateway/...", "a door is given to the kit"},
	{"nodeservice/crashtest", module + "/nodeservice/pebblestore", "a machine is given to the kit"},
	{"nodeservice/storetest/model", "testing", "the model serves outside tests as well"},
}

// confined are libraries that live in named rooms only.
var confined = map[string][]string{
	"github.com/go-chi/chi/...":         {"gateway/..."},
	"github.com/coder/websocket/...":    {"gateway/..."},
	"capnproto.org/go/capnp/...":        {"schema/...", "nodeservice/noderpc"},
	"github.com/cockroachdb/pebble/...": {"nodeservice/pebblestore"},
	"github.com/golang-jwt/jwt/...":     {"nodeservice/identity"},
	"github.com/redis/go-redis/...":     {"nodeservice/redisstore/..."},
	"github.com/quic-go/quic-go/...":    {"nodeservice/noderpc"},
	"github.com/anishathalye/porcupine": {"nodeservice/crashtest"},
}

// drawn is the top level as its user drew it, and little else.
var drawn = []string{
	".ci", ".git", ".gitignore", "CHANGELOG.md", "DESIGN.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
	"bin", "cmd", "deploy", "docs", "gateway", "go.mod", "go.sum", "nodeservice", "openapi", "schema", "var",
	"web",
	"behaviour_test.go", "bench_test.go", "house_test.go", "oldclient_test.go",
	"proofs_test.go", "quic_test.go", "version0_test.go", "versions_test.go",
}

func TestImportsPointTheRightWay(t *testing.T) {
	for _, r := range rooms(t) {
		for _, imported := range r.imports {
			for _, rule := range forbidden {
				if within(r.path, rule.from) && within(imported, rule.to) {
					t.Errorf("%s imports %s: %s", r.path, imported, rule.why)
				}
			}
			if within(imported, module+"/cmd/...") && !within(r.path, "cmd/...") {
				t.Errorf("%s imports %s: nothing imports a command", r.path, imported)
			}
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	for _, r := range rooms(t) {
		for _, imported := range r.imports {
			for library, allowed := range confined {
				if within(imported, library) && !slices.ContainsFunc(allowed, func(a string) bool { return within(r.path, a) }) {
					t.Errorf("%s imports %s, which belongs to %v", r.path, imported, allowed)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, r := range rooms(t) {
		if !r.doc {
			t.Errorf("%s has no package documentation", r.path)
		}
	}
}

func TestTopLevelIsAsDrawn(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(drawn, e.Name()) {
			t.Errorf("%s is not in the drawing", e.Name())
		}
	}
}

// within says whether a path is pattern, or below it with a pattern of "x/...".
func within(p, pattern string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return p == base || below && strings.HasPrefix(p, base+"/")
}

// rooms reads the packages that are not test data.
func rooms(t *testing.T) []room {
	t.Helper()
	byPath := map[string]*room{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "testdata", "node_modules", "var", "bin"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		dir := path.Dir(filepath.ToSlash(file))
		if byPath[dir] == nil {
			byPath[dir] = &room{path: dir}
		}
		return byPath[dir].read(file)
	})
	if err != nil || len(byPath) < 5 {
		t.Fatalf("reading the house: %d packages, %v", len(byPath), err)
	}
	var all []room
	for _, r := range byPath {
		all = append(all, *r)
	}
	return all
}

func (r *room) read(file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	r.doc = r.doc || parsed.Doc.Text() != ""
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		r.imports = append(r.imports, imported)
	}
	return nil
}
