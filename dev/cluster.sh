#!/usr/bin/env bash
# A cluster to play with on one machine: three managers and two workers, each a
# process in a network namespace of its own, with real containers.
#
#   dev/cluster.sh up WARREN_BINARY     starts it, or what of it was killed
#   dev/cluster.sh down WARREN_BINARY   ends it and removes everything it made
#
# To see what happens when a node dies:    kill -9 "$(cat /tmp/warren-dev/m1/pid)"
# or when it is cut off from the others:   ip link set wdev-m1 down
set -euo pipefail

command=${1:?up or down}
binary=$(realpath "${2:?the warren binary}")
[ "$(id -u)" = 0 ] || { echo "The nodes start containers, so this needs root: sudo make dev-cluster" >&2; exit 1; }

dir=/tmp/warren-dev
bridge=wdev0
network=10.231.77
declare -A host=([m1]=11 [m2]=12 [m3]=13 [w1]=21 [w2]=22)
managers=$network.11:8080,$network.12:8080,$network.13:8080

# The cluster's own person: certificates go to this home, not to the caller's.
export HOME=$dir/home WARREN_MANAGER=$managers
unset SUDO_USER SUDO_UID SUDO_GID

warren() { timeout 60 "$binary" "$@"; }

alive() {
  [ -e "$dir/$1/pid" ] && [ "$(readlink "/proc/$(cat "$dir/$1/pid")/exe" 2>/dev/null)" = "$(cat "$dir/$1/exe")" ]
}

# place gives a node its network namespace, joined to the others by a bridge.
place() {
  [ -e "/run/netns/wdev-$1" ] && return
  ip netns add "wdev-$1"
  ip link add "wdev-$1" type veth peer name eth0 netns "wdev-$1"
  ip link set "wdev-$1" master $bridge up
  ip -n "wdev-$1" addr add "$network.${host[$1]}/24" dev eth0
  ip -n "wdev-$1" link set lo up
  ip -n "wdev-$1" link set eth0 up
  ip -n "wdev-$1" route add default via $network.1
}

# launch runs a node in its place. ip netns exec would hide the cgroups.
launch() {
  local node=$1
  shift
  local flags=(--data-dir "$dir/$node/lib")
  if [ ! -e "$dir/$node/lib/node.json" ]; then
    flags+=(--run-dir "$dir/$node/run" --node-name "$node")
    case $node in m*) flags+=(--listen-addr "$network.${host[$node]}:8080") ;; esac
  fi
  nsenter --net="/run/netns/wdev-$node" setsid "$binary" "$@" "${flags[@]}" >>"$dir/$node/log" 2>&1 </dev/null &
  echo $! >"$dir/$node/pid"
  echo "$binary" >"$dir/$node/exe"
}

# until_ok repeats a command that has to succeed before long.
until_ok() {
  for _ in $(seq 150); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  echo "in vain: $*" >&2
  "$@"
}

ready() { warren node list | grep -qE "^$1 .* ready "; }
counted() { warren node list | grep -q "^$1 "; }

start() {
  local node=$1 role=$2
  alive "$node" && return
  mkdir -p "$dir/$node"
  place "$node"
  if [ -e "$dir/$node/lib/node.json" ]; then
    launch "$node" "$role" start
  elif [ "$node" = m1 ]; then
    launch m1 cluster init --manager-only
    until_ok env WARREN_MANAGER=$network.11:8080 "$binary" node list
  else
    (umask 077; warren cluster join-token "$role" --single-use >"$dir/$node/token" 2>/dev/null)
    case $role in manager) verb=join ;; *) verb=start ;; esac
    launch "$node" "$role" $verb --token-file "$dir/$node/token" --manager $network.11:8080
  fi
}

up() {
  mkdir -p "$HOME"
  if ! ip link show $bridge >/dev/null 2>&1; then
    ip link add $bridge type bridge
    ip addr add $network.1/24 dev $bridge
    ip link set $bridge up
  fi
  # Those that were killed come first: alone, none of them can lead.
  for node in m1 m2 m3; do [ ! -e "$dir/$node/lib/node.json" ] || start $node manager; done
  for node in m1 m2 m3; do start $node manager; until_ok counted $node; done
  for node in w1 w2; do start $node worker; done
  for node in w1 w2; do until_ok ready $node; done
  warren node list
  cat <<END

It is yours:

    export HOME=$HOME WARREN_MANAGER=$managers
    $binary node list

Logs are in $dir/*/log. To end it: make dev-cluster-down
END
}

# below lists what is still mounted in the directory, deepest first.
below() { awk -v d="$dir/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r; }

# shims lists the processes that look after containers of these nodes.
shims() { grep -alsF -- "$dir/" /proc/[0-9]*/cmdline | cut -d/ -f3 | grep -vx -e $$ -e $BASHPID || true; }

stop() {
  alive "$1" || return 0
  local pid
  pid=$(cat "$dir/$1/pid")
  kill -TERM "$pid"
  for _ in $(seq 100); do alive "$1" || return 0; sleep 0.1; done
  kill -KILL "$pid"
}

down() {
  [ -d $dir ] || return 0
  for service in $(warren service list -o json 2>/dev/null | sed -n 's/^ *"name": *"\(.*\)",*$/\1/p'); do
    warren service delete "$service" >/dev/null 2>&1 || true
  done
  for node in w1 w2 m3 m2 m1; do stop $node; done
  for pid in $(shims); do
    # A container's processes are the children of its shim.
    cat "/proc/$pid/task/"*/children 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    kill -KILL "$pid" 2>/dev/null || true
  done
  for node in "${!host[@]}"; do
    ip netns del "wdev-$node" 2>/dev/null || true
    ip link del "wdev-$node" 2>/dev/null || true
  done
  ip link del $bridge 2>/dev/null || true
  below | while read -r m; do umount "$m" || true; done
  if [ -n "$(below)" ]; then
    echo "Left alone, since something is still mounted there: $dir" >&2
    exit 1
  fi
  rm -rf --one-file-system $dir
}

case $command in
up | down) $command ;;
*) echo "want up or down, not $command" >&2; exit 2 ;;
esac
