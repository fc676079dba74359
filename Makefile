# Everything is a target: run, test, check, generate, demo, bench. Go, Node, make
# and git are assumed; `make test` installs what else it needs on Debian as root.

GO ?= go
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run run-cluster test check generate demo bench crash tools vet format staticcheck generated pages

CAPNPC_GO := capnproto.org/go/capnp/v3/capnpc-go@v3.1.0-alpha.2
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

help:
	@echo 'make run          one node on loopback, its data under ./var'
	@echo 'make run-cluster  two nodes and the Redis that they share, under ./var/cluster'
	@echo 'make test         every test there is (installs what is missing, as root on Debian)'
	@echo 'make check        format, vet, staticcheck, generated code and web/dist up to date'
	@echo 'make generate     the Go code of the schemas, again'
	@echo 'make demo         a conversation through both doors, with a crash in it'
	@echo 'make bench        all benchmarks'
	@echo 'make crash        kills and power cuts by the hundred (CUTS=150 KILLS=100 SEED=0)'

run:
	$(GO) run ./cmd/qpqd serve

# Two nodes and the Redis that they share, on loopback, until Ctrl-C; what they keep
# stays in ./var/cluster. Native clients of the second node dial port 7421.
run-cluster: tools
	@bash deploy/run-cluster.sh

test: tools vet format
	$(GO) test -race -timeout 15m ./...
	$(MAKE) --no-print-directory generated pages

check: tools format vet staticcheck generated web/node_modules
	npm --prefix web run check

demo:
	$(GO) run ./cmd/demo

# The same tests that make test runs with few deaths. SEED=0 takes a fresh seed,
# which is printed.
CUTS ?= 150
KILLS ?= 100
SEED ?= 0
crash:
	$(GO) test -count 1 -timeout 30m -v -run '^TestCrashPowerCut$$' ./nodeservice/crashtest -crash.cuts $(CUTS) -crash.seed $(SEED) | grep -v '^=== '
	$(GO) test -count 1 -timeout 30m -v -run '^TestCrashKill$$' ./cmd/qpqd -crash.kills $(KILLS) -crash.seed $(SEED) | grep -v '^=== '

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# The race detector needs a C compiler, the schemas their compiler, our peers in
# C++ theirs, the pages a browser, the engine for many nodes a Redis. Where they cannot be installed from here, only what needs them fails.
tools:
	@missing=; \
	command -v "$$($(GO) env CC)" >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v capnp >/dev/null || missing="$$missing capnproto"; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	[ -e /usr/include/capnp/rpc.h ] || missing="$$missing libcapnp-dev"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	[ -x "$${CHROMIUM:-/usr/bin/chromium}" ] || missing="$$missing chromium fonts-dejavu-core"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q || true; \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing && exit 0; \
	fi; \
	echo "please install (Debian's names):$$missing" >&2

vet:
	$(GO) vet ./...

format:
	@unformatted="$$(git ls-files -z '*.go' | xargs -0 gofmt -l)"; \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted >&2; exit 1; fi

staticcheck:
	$(GO) run $(STATICCHECK) ./...

bin/capnpc-go:
	GOBIN="$(CURDIR)/bin" $(GO) install $(CAPNPC_GO)

generate: tools bin/capnpc-go
	PATH="$(CURDIR)/bin:$$PATH" sh schema/generate.sh

# Generates beside the tree and compares, so that nothing changes by looking.
# Go passes over directories whose names begin with an underscore.
generated: bin/capnpc-go
	@rm -rf bin/_generated && mkdir -p bin/_generated && cp -R schema bin/_generated/schema
	@PATH="$(CURDIR)/bin:$$PATH" sh bin/_generated/schema/generate.sh
	@diff -r schema bin/_generated/schema >/dev/null || { echo 'the generated code is not up to date: make generate' >&2; exit 1; }
	@rm -rf bin/_generated

web/node_modules: web/package-lock.json
	cd web && npm ci
	@touch $@

# The pages as committed: built from their sources, and right in a real browser.
pages: tools web/node_modules
	npm --prefix web run check
	npm --prefix web test
