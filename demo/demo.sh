#!/usr/bin/env bash
# The guide's story on one machine: PostgreSQL as a Warren service, its data on
# a volume, its password in a secret. Things are killed, the rows stay.
#
#   demo/demo.sh WARREN_BINARY POSTGRES_IMAGE_ARCHIVE
#
# Everything lives in a directory of its own that is removed at the end, so it
# disturbs no Warren that is installed, and can be run again and again.
set -euo pipefail

binary=$(realpath "$1")
image=$(realpath "$2")
[ "$(id -u)" = 0 ] || { echo "The demo starts containers, so it needs root: sudo make demo" >&2; exit 1; }

dir=$(mktemp -d /tmp/warren-demo.XXXXXX)
address=127.0.0.1:18080
password="demo-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"
node=

# The demo's own person: certificates go to this home, not to the caller's.
export HOME=$dir/home WARREN_MANAGER=$address PGCONNECT_TIMEOUT=2
unset SUDO_USER SUDO_UID SUDO_GID
mkdir -p "$HOME"

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
warren() { printf '$ warren %s\n' "$*" >&2; timeout 120 "$binary" "$@"; }
quietly() { timeout 120 "$binary" "$@"; }

stop_node() {
  [ -n "$node" ] || return 0
  kill -TERM "$node" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$node" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$node" 2>/dev/null || true
  wait "$node" 2>/dev/null || true
  node=
}

# mounts_below lists what is still mounted in the demo's directory, deepest first.
mounts_below() { awk -v d="$dir/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }

clean_up() {
  status=$?
  trap - EXIT
  if [ -n "$node" ] && kill -0 "$node" 2>/dev/null; then
    quietly service delete postgres -y >/dev/null 2>&1 || true
  fi
  [ $status = 0 ] || { echo; echo "The node's last words:"; tail -n 20 "$dir/node.log"; } >&2
  stop_node
  mounts_below | while read -r m; do umount "$m" || true; done
  if [ -n "$(mounts_below)" ]; then
    echo "Left alone, since something is still mounted there: $dir" >&2
  else
    rm -rf --one-file-system "$dir"
  fi
  [ $status = 0 ] || echo "The demo failed." >&2
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start_node() {
  printf '$ warren %s\n' "$*"
  "$binary" "$@" >>"$dir/node.log" 2>&1 &
  node=$!
  for _ in $(seq 300); do
    quietly node list 2>/dev/null | grep -q ' ready ' && return 0
    kill -0 "$node" 2>/dev/null || { echo "The node ended." >&2; return 1; }
    sleep 0.1
  done
  echo "The node did not answer within 30 s." >&2
  return 1
}

# query runs SQL over TCP with the password, as any client on the host would.
query() {
  local host
  for _ in $(seq 300); do
    host=$(quietly task inspect postgres-task-1 2>/dev/null | sed -n 's/^Address: //p')
    if [ -n "$host" ] && PGPASSWORD=$password psql -h "$host" -U postgres -XAtq -c "$1" 2>"$dir/psql.err"; then
      return 0
    fi
    sleep 0.1
  done
  cat "$dir/psql.err" >&2
  return 1
}

task_id() { quietly task list -q --all=false | head -n 1; }

say "A cluster of one node, in the foreground of another terminal"
start_node cluster init --data-dir "$dir/lib" --run-dir "$dir/run" --listen-addr "$address" --metrics-addr 127.0.0.1:0
warren image load "$image"

say "A volume, a secret, and PostgreSQL 15 that uses both"
warren volume create db-data --label env=production
printf %s "$password" | warren secret create db-password --from-stdin
warren service create postgres --image postgres:15 --replicas 1 \
  --volume db-data:/var/lib/postgresql/data \
  --secret db-password --env POSTGRES_PASSWORD_FILE=/run/secrets/db-password

say "Rows, written over TCP with the password"
query "create table t (n int, said text)"
query "insert into t select n, 'row ' || n from generate_series(1, 5) n"
query "select * from t"

say "Kill the container: its worker starts it again, the volume is still there"
before=$(quietly task inspect postgres-task-1 | sed -n 's/^Restarts: //p')
warren ctr --run-dir "$dir/run" tasks kill -s SIGKILL "$(task_id)"
for _ in $(seq 300); do
  [ "$(quietly task inspect postgres-task-1 | sed -n 's/^Restarts: //p')" = "$before" ] || break
  sleep 0.1
done
query "select count(*) || ' rows after the container was killed' from t"

say "Kill Warren itself with SIGKILL: the container does not notice"
kill -KILL "$node"; wait "$node" 2>/dev/null || true; node=
start_node manager start --data-dir "$dir/lib"
query "insert into t values (6, 'after the restart')"
query "select count(*) || ' rows after Warren was killed' from t"

say "What Warren knows"
warren volume list
warren volume inspect db-data
warren secret inspect db-password
warren service inspect postgres

say "Everything is taken away again"
warren volume delete db-data -y && { echo "A volume in use must not be deleted" >&2; exit 1; } || true
warren service delete postgres -y
warren volume delete db-data -y
warren secret delete db-password -y
say "Done: the rows survived each kill"
