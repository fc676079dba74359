#!/bin/bash
# Two nodes and the Redis that they share, on loopback and without containers, until
# Ctrl-C (make run-cluster). What is kept stays in ./var/cluster.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=var/cluster
mkdir -p "$dir/redis"
${GO:-go} build -o bin/qpqd ./cmd/qpqd

# Ctrl-C reaches the terminal's whole group at once, and a second signal ends a node
# without grace. So nodes and Redis have sessions of their own, and finish ends them,
# Redis last.
pids=()
finish() {
	trap '' INT TERM
	[ ${#pids[@]} = 0 ] || { kill -TERM "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	kill "$redis" 2>/dev/null || true
	wait "$redis" 2>/dev/null || true
}

# Each write is on disk before it is answered.
setsid redis-server --port 6399 --bind 127.0.0.1 --dir "$dir/redis" --save '' --appendonly yes --appendfsync always \
	--maxmemory 512mb --maxmemory-policy noeviction --logfile redis.log &
redis=$!
trap finish EXIT
trap 'exit 0' INT TERM

node() { # its name and the last digit of its ports
	setsid bin/qpqd serve --store redis --redis-url redis://127.0.0.1:6399 --shared-limits \
		--public-url http://127.0.0.1:8420 --data-dir "$dir/$1" --audit-file "$dir/$1.audit" \
		--http-listen "127.0.0.1:842$2" --rpc-listen "127.0.0.1:742$2" --ops-listen "127.0.0.1:942$2" \
		2> >(trap '' INT; exec sed -u "s/^/$1: /" >&2) &
	pids+=($!)
}
node a 0
node b 1
echo "two nodes: HTTP on 127.0.0.1:8420 and :8421, Cap'n Proto on :7420 and :7421; tokens are for http://127.0.0.1:8420"
wait -n "$redis" "${pids[@]}" # whichever ends takes the others with it
