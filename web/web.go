// Package web holds what the node shows to browsers, built from the sources beside
// it and committed, so that Go alone can build a node: demo/, the chat at /, and
// docs/, the readable reference of the HTTP API. Neither loads anything from elsewhere.
//
// The pages count on policies that their server sends with them (README.md), and
// on being served in directories: /docs/ with its slash, and the contract one
// level up, at /openapi.json.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS is the tree of pages: "index.html", the chat, with its files in "demo", and "docs/index.html".
func FS() fs.FS {
	tree, err := fs.Sub(dist, "dist")
	if err != nil { // a constant, valid path
		panic(err)
	}
	return tree
}
