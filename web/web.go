// Package web holds what the node shows to browsers, built from the sources beside
// it and committed, so that Go alone can build a node: docs/, the readable
// reference of the HTTP API, which loads nothing from elsewhere.
//
// The pages count on a policy that their server sends with them (README.md), and
// on being served in directories: /docs/ with its slash, and the contract one
// level up, at /openapi.json.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// FS is the tree of pages: "docs/index.html" and what it needs.
func FS() fs.FS {
	tree, err := fs.Sub(dist, "dist")
	if err != nil { // a constant, valid path
		panic(err)
	}
	return tree
}

// ETag is the strong entity tag (RFC 9110 section 8.8.3) of a file of FS; "" if
// there is no such file. Files in a binary have no modification time to go by.
func ETag(name string) string { return tags()[name] }

var tags = sync.OnceValue(func() map[string]string {
	byName := map[string]string{}
	tree := FS()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		sum := sha256.Sum256(data)
		byName[name] = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
		return err
	})
	if err != nil { // the files are in the binary
		panic(fmt.Sprintf("web: %v", err))
	}
	return byName
})
