#!/bin/sh
# Regenerates the Go code of both schemas. Needs `capnp` (Debian: capnproto) and
# capnpc-go of the version in go.mod:
#   go install capnproto.org/go/capnp/v3/capnpc-go@v3.1.0-alpha.2
# A second run leaves no difference; `make check` relies on that.
set -eu
cd "$(dirname "$0")"
std="$(go list -m -f '{{.Dir}}' capnproto.org/go/capnp/v3)/std"
export PATH="$PATH:$(go env GOPATH)/bin"

compile() { # directory, file
	(cd "$1" && capnp compile -I"$std" -ogo "$2" && gofmt -w "$2.go")
}

compile . node.capnp
compile testdata/schema0 node0.capnp
