# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What network*.sh share: machines A, B, C and a client L on their LAN, and containers ("boxes"), all
# of them network namespaces, driven by tests/e2e/netdriver. Sourced with the script's arguments.
cd "$(dirname "$0")/../.." || exit 2
driver=${1:-build/release/tests/e2e/netdriver}
[ "$(id -u)" = 0 ] || { echo "run it as root: it makes network namespaces"; exit 2; }
[ -x "$driver" ] || { echo "$driver is missing: make $driver"; exit 2; }

tag=wt$$
dir=$(mktemp -d /tmp/wherry-network.XXXXXX)
mkdir "$dir/ns"
passed=0 failed=0 servers=()
declare -A ip=([A]=10.66.0.1 [B]=10.66.0.2 [C]=10.66.0.3 [L]=10.66.0.100)
declare -A id=([A]=1 [B]=257 [C]=65535)

cleanup() {
    local path
    for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    for path in "$dir"/ns/*; do [ -e "$path" ] && "$driver" remove "$path"; done
    for h in A B C L lan; do ip netns del $tag$h 2>/dev/null; done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

host() { echo "/run/netns/$tag$1"; }
box() { echo "$dir/ns/$1"; }
in_host() { nsenter --net="$(host "$1")" "${@:2}"; }
in_box() { nsenter --net="$(box "$1")" "${@:2}"; }
ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
ask() { "$driver" ask "$@"; }
# Ask from a host or a box of that name: from NAME tcp|udp ADDRESS PORT [SOURCE-PORT]
from() {
    local place
    case $1 in [A-Z]) place=$(host "$1") ;; *) place=$(box "$1") ;; esac
    ask "$place" "${@:2}"
}
serve() {
    "$driver" serve "$(box "$1")" "$1" 80 & servers+=($!)
}
# The switch, and the machines on it.
make_lan() {
    ip netns add ${tag}lan
    ip -n ${tag}lan link add br0 type bridge
    ip -n ${tag}lan link set br0 up
    for h in A B C L; do
        ip netns add $tag$h
        ip -n $tag$h link set lo up
        ip link add u0 netns $tag$h mtu 1500 type veth peer name p$h netns ${tag}lan
        ip -n ${tag}lan link set p$h master br0 up
        ip -n $tag$h link set u0 up
        ip -n $tag$h addr add ${ip[$h]}/24 dev u0
    done
}
# The state of host $1 by state(), the script's own.
apply() { state "$1" "${2:-$boxes}" | "$driver" apply "$(host "$1")" "${3:-1}"; }
apply_all() { for h in A B C; do apply $h "$@" >"$dir/out" 2>&1 || { cat "$dir/out"; return 1; }; done; }

count() {
    echo "$passed passed, $failed failed, 0 skipped"
    [ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
    [ $failed = 0 ]
}
