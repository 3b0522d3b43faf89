#!/bin/sh
# Starts Redis, two nodes and HAProxy, and ends them all with itself. The programs are
# mkd and, from Debian, redis-server and haproxy. Process ids are in *.pid.
set -eu
: "${PORT:=6363}" "${NODE1_PORT:=6401}" "${NODE2_PORT:=6402}" "${REDIS_PORT:=6379}"
export PORT NODE1_PORT NODE2_PORT REDIS_PORT

umask 077
[ -e server.key ] || mkd keygen --out server.key
[ -e sessions.secret ] || openssl rand -hex 32 > sessions.secret

pids=
start() { # start NAME COMMAND...
  name=$1; shift
  "$@" &
  echo $! > "$name.pid"
  pids="$pids $!"
}
trap 'kill $pids 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM

# Sessions expire by themselves; when memory is short, Redis evicts what was used least recently.
start redis redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --save '' --appendonly no \
  --maxmemory 256mb --maxmemory-policy volatile-lru
start node1 env NODE=1 NODE_PORT="$NODE1_PORT" mkd run
start node2 env NODE=2 NODE_PORT="$NODE2_PORT" mkd run
start haproxy haproxy -db -f haproxy.cfg
wait
