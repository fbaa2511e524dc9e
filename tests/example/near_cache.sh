#!/usr/bin/env bash
# 12_near_cache against a Redis server of its own, on a free loopback port, with
# nothing written to the disk. Skipped (77) if there is no server.
#
#   near_cache.sh <program and what it runs under> ...
set -euo pipefail

if ! command -v redis-server >/dev/null; then
  echo "skipped: redis-server is not installed"
  exit 77
fi

folder=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap cleanup EXIT

# A port below the range that the system gives out by itself; a server that
# finds its port taken ends at once, and another one is tried.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  port=$((20000 + RANDOM % 10000))
  redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no \
    --dir "$folder" --daemonize no >"$folder/log" 2>&1 &
  server=$!
  for ((i = 0; i < 100; i++)); do
    if grep -q 'Ready to accept connections' "$folder/log"; then
      break 2
    fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
done
if [ -z "$server" ]; then
  cat "$folder/log" >&2
  echo "FAIL: no Redis server after $attempt attempts" >&2
  exit 1
fi

output=$("$@" "$port")
printf '%s\n' "$output"
expected='stampede threads=64 redis_gets=1 origin=1
near gets=64000 redis_gets=1
second_process redis_gets=2 origin=1
written elsewhere: seen
emptied elsewhere: seen, origin=2'
if [ "$output" != "$expected" ]; then
  echo "FAIL: expected" >&2
  printf '%s\n' "$expected" >&2
  exit 1
fi
