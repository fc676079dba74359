#!/bin/bash
# Two nodes and the Redis that they share, on loopback and without containers, until
# Ctrl-C (make run-cluster). What is kept stays in ./var/cluster. The ports are those
# below, and for the second node the next ones; HTTP_PORT=8520 and so on chooses
# others, CLUSTER_DIR another place.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CLUSTER_DIR:-var/cluster}
http=${HTTP_PORT:-8420} rpc=${RPC_PORT:-7420} ops=${OPS_PORT:-9420} store=${REDIS_PORT:-6399}
mkdir -p "$dir/redis"
${GO:-go} build -o bin/qpqd ./cmd/qpqd

# Ctrl-C reaches the terminal's whole group at once, and a second signal ends a node
# without grace. So nodes and Redis have sessions of their own, and finish ends them,
# Redis last, however this script ends.
redis='' pids=()
finish() {
	trap '' INT TERM HUP
	[ ${#pids[@]} = 0 ] || { kill -TERM "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
	[ -z "$redis" ] || { kill "$redis" 2>/dev/null || true; wait "$redis" 2>/dev/null || true; }
}
trap finish EXIT
trap 'exit 0' INT TERM HUP

# Each write is on disk before it is answered.
setsid redis-server --port "$store" --bind 127.0.0.1 --dir "$dir/redis" --save '' --appendonly yes --appendfsync always \
	--maxmemory 512mb --maxmemory-policy noeviction --logfile redis.log &
redis=$!

node() { # its name, and how far its ports are from those above
	setsid bin/qpqd serve --store redis --redis-url "redis://127.0.0.1:$store" --shared-limits \
		--public-url "http://127.0.0.1:$http" --data-dir "$dir/$1" --audit-file "$dir/$1.audit" \
		--http-listen "127.0.0.1:$((http + $2))" --rpc-listen "127.0.0.1:$((rpc + $2))" --ops-listen "127.0.0.1:$((ops + $2))" \
		2> >(trap '' INT HUP; exec sed -u "s/^/$1: /" >&2) &
	pids+=($!)
}
node a 0
node b 1
echo "two nodes: HTTP on 127.0.0.1:$http and :$((http + 1)), Cap'n Proto on :$rpc and :$((rpc + 1));" \
	"tokens are for http://127.0.0.1:$http"
wait -n "$redis" "${pids[@]}" # whichever ends takes the others with it
