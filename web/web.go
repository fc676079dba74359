// Package web holds what the node shows to browsers, built from the sources beside
// it and committed, so that Go alone can build a node: docs/, the readable
// reference of the HTTP API, which loads nothing from elsewhere.
//
// The pages count on a policy that their server sends with them (README.md), and
// on being served in directories: /docs/ with its slash, and the contract one
// level up, at /openapi.json.
package web

import (
	"embed"
	"io/fs"
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
