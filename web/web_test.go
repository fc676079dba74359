package web_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/quicproquo/node/web"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(web.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the policy forbids would only be noticed in a browser.
func TestPagesHaveNothingInline(t *testing.T) {
	page := read(t, "docs/index.html")
	for _, inline := range []string{`<script[^>]*>[^<]`, `<style`, ` style=`, ` on[a-z]+=`, `javascript:`, `<base`, `(src|href)="(https?:)?//`} {
		if found := regexp.MustCompile(inline).FindString(page); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	if strings.Contains(read(t, "docs/swagger-ui.css"), "data:") {
		t.Error("the style sheet has an inline image")
	}
}

func TestWhatPagesNameIsThere(t *testing.T) {
	names := regexp.MustCompile(`(?:src|href)="([^":.][^":]*)"`).FindAllStringSubmatch(read(t, "docs/index.html"), -1)
	names = append(names, regexp.MustCompile(`url\(([^)#]+)\)`).FindAllStringSubmatch(read(t, "docs/swagger-ui.css"), -1)...)
	if len(names) < 10 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, name := range names {
		if _, err := fs.Stat(web.FS(), "docs/"+name[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestNoSourceMapsAreShipped(t *testing.T) {
	err := fs.WalkDir(web.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(name, ".map") || strings.Contains(read(t, name), "sourceMappingURL=") {
			t.Errorf("%s has to do with source maps", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
