package web_test

import (
	"io/fs"
	"path"
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

var pages = []string{"index.html", "docs/index.html"}

// What the policy forbids would only be noticed in a browser.
func TestPagesHaveNothingInline(t *testing.T) {
	for _, page := range pages {
		for _, inline := range []string{`<script[^>]*>[^<]`, `<style`, ` style=`, ` on[a-z]+=`, `javascript:`, `<base`, `(src|href)="(https?:)?//`} {
			if found := regexp.MustCompile(inline).FindString(read(t, page)); found != "" {
				t.Errorf("%s has %q", page, found)
			}
		}
	}
	for _, sheet := range []string{"demo/style.css", "docs/swagger-ui.css"} {
		if strings.Contains(read(t, sheet), "data:") {
			t.Errorf("%s has an inline image", sheet)
		}
	}
}

func TestWhatPagesNameIsThere(t *testing.T) {
	for _, page := range pages {
		wantNamed(t, page, `(?:src|href)="(?:\./)?([^":.][^":]*\.(?:js|css|svg))"`, 3)
	}
	wantNamed(t, "docs/swagger-ui.css", `url\(([^)#]+)\)`, 7)
}

// wantNamed demands that the names in a file, at least so many, are of files beside it.
func wantNamed(t *testing.T, file, names string, least int) {
	t.Helper()
	found := regexp.MustCompile(names).FindAllStringSubmatch(read(t, file), -1)
	if len(found) < least {
		t.Errorf("only %d names were found in %s", len(found), file)
	}
	for _, name := range found {
		if _, err := fs.Stat(web.FS(), path.Join(path.Dir(file), name[1])); err != nil {
			t.Errorf("%s: %v", file, err)
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
