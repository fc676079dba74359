// Package schema is the native wire format: node.capnp, version 1, and the Go
// code generated from it. It holds no logic; noderpc is its only user besides
// tests.
//
// The schema only ever appends. Ordinals, ids, types and defaults are forever:
// testdata/schema0 is the frozen version 0, which old clients were built from,
// testdata/released is version 1 as of its last release, and a test compares today's
// schema with both. testdata/golden pins the bytes of every struct and parameter
// list; testdata/cpp and testdata/js are clients that share no code with us.
package schema

//go:generate ./generate.sh
