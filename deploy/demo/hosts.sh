# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Hosts on one machine, for the demo and the tests: each is a network namespace with a link to a
# common switch, in which a real daemon runs with folders, sockets and cgroups of its own.
#
#   lab_up LAB PREFIX     the switch; this machine gets PREFIX.254, LAB names everything
#   host_up N             host N: PREFIX.N, its daemon started
#   host_kill N           its power goes: link cut, daemon, shims and containers killed
#   host_boot N           and comes back
#   host_cut N, host_heal N       its link only
#   host_readdress N IP   its link has another address, IP/24; the daemon must be down
#   daemon_start N [OPTION...], daemon_stop N, daemon_kill N
#   w N COMMAND...        wherry, through the socket of host N
#   lab_down              everything is gone: processes, mounts, cgroups, namespaces, links, files
#
# Uses nsenter, not "ip netns exec": that one hides the cgroups.

WHERRY=${WHERRY:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/wherry}

lab_up() {
    LAB=$1 PREFIX=$2
    LAB_DATA=${LAB_DATA:-/var/lib/$LAB} LAB_RUN=/run/$LAB
    mkdir -p "$LAB_DATA" "$LAB_RUN"
    printf 'PREFIX=%s\nLAB_DATA=%s\n' "$PREFIX" "$LAB_DATA" >"$LAB_RUN/lab"
    ip netns add "$LAB-lan"
    ip -n "$LAB-lan" link set lo up
    ip -n "$LAB-lan" link add br0 type bridge
    ip -n "$LAB-lan" link set br0 up
    ip link add "$(lab_link 0)" type veth peer name p0 netns "$LAB-lan"
    ip -n "$LAB-lan" link set p0 master br0 up
    ip addr add "$PREFIX.254/24" dev "$(lab_link 0)"
    ip link set "$(lab_link 0)" up
}

# Find a lab that is up. Fails when there is none.
lab_find() {
    LAB=$1 LAB_RUN=/run/$1
    [ -e "$LAB_RUN/lab" ] || return 1
    . "$LAB_RUN/lab"
}

# Names of links have 15 characters at most.
lab_link() { echo "w$(cksum <<<"$LAB" | cut -d' ' -f1)-$1"; }

in_host() { # in_host N COMMAND...
    local host=$1
    shift
    nsenter --net="/run/netns/$LAB-$host" "$@"
}

# The network of host N: a namespace with one link to the switch.
host_net() {
    ip netns add "$LAB-$1"
    ip -n "$LAB-$1" link set lo up
    ip link add eth0 netns "$LAB-$1" type veth peer name "p$1" netns "$LAB-lan"
    ip -n "$LAB-lan" link set "p$1" master br0 up
    ip -n "$LAB-$1" addr add "$PREFIX.$1/24" dev eth0
    ip -n "$LAB-$1" link set eth0 up
    ip -n "$LAB-$1" route add default via "$PREFIX.254"
}

host_up() { # host_up N [DAEMON-OPTION...]
    host_net "$1"
    daemon_start "$@"
}

daemon_start() { # daemon_start N [OPTION...]; the options are remembered
    local n=$1
    shift
    mkdir -p "$LAB_RUN/$n" "$LAB_DATA/$n"
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$LAB_RUN/$n.options"
    # Where the machine has been given another address the daemon finds it by itself.
    local options=() address=(--address "$PREFIX.$n")
    [ ! -e "$LAB_RUN/$n.readdressed" ] || address=()
    [ ! -e "$LAB_RUN/$n.options" ] || mapfile -t options <"$LAB_RUN/$n.options"
    # A simple command: $! is the daemon itself once these have called exec.
    setsid nsenter --net="/run/netns/$LAB-$n" "$WHERRY" node --name "n$n" --data "$LAB_DATA/$n" --run "$LAB_RUN/$n" \
        "${address[@]}" "${options[@]}" >>"$LAB_RUN/$n.log" 2>&1 </dev/null &
    echo $! >"$LAB_RUN/$n.pid"
    disown
    wait_for 20 "daemon of host $n" test -S "$LAB_RUN/$n/wherry.sock"
}

daemon_pid() { cat "$LAB_RUN/$1.pid"; }

daemon_alive() { kill -0 "$(daemon_pid "$1")" 2>/dev/null; }

daemon_stop() { # SIGTERM; containers run on
    kill -TERM "$(daemon_pid "$1")" 2>/dev/null
    wait_for 20 "end of the daemon of host $1" not daemon_alive "$1"
}

daemon_kill() {
    kill -KILL "$(daemon_pid "$1")" 2>/dev/null
    wait_for 20 "end of the daemon of host $1" not daemon_alive "$1"
}

not() { ! "$@"; }

host_cut() { ip -n "$LAB-lan" link set "p$1" down; }
host_heal() { ip -n "$LAB-lan" link set "p$1" up; }

host_readdress() { # host_readdress N IP
    : >"$LAB_RUN/$1.readdressed"
    ip -n "$LAB-$1" addr flush dev eth0
    ip -n "$LAB-$1" addr add "$2/24" dev eth0
    ip -n "$LAB-$1" route replace default via "${2%.*}.254"
}

# The cgroup that all containers and shims of host N are below, as the daemon names it.
host_cgroup() { echo "wherry-$(printf %s "$(realpath "$LAB_DATA/$1")" | sha256sum | cut -c1-8)"; }

host_cgroup_dirs() { find /sys/fs/cgroup -depth -type d -path "*/$(host_cgroup "$1")*" 2>/dev/null; }

# Kill whatever is in the host's cgroups.
host_reap() {
    local round dirs pids
    for round in 1 2 3 4 5; do
        dirs=$(host_cgroup_dirs "$1")
        pids=$(for d in $dirs; do cat "$d/cgroup.procs" 2>/dev/null; done | sort -u)
        [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null
        sleep 0.1
    done
}

host_kill() {
    host_cut "$1"
    daemon_kill "$1"
    host_reap "$1"
}

# After host_kill: the machine boots again. Its data folder is as it was; its run folder, mounts,
# cgroups, links, routes and rules are gone.
host_boot() {
    host_unmount "$1"
    host_remove_cgroups "$1"
    rm -rf "${LAB_RUN:?}/$1"
    ip -n "$LAB-lan" link del "p$1" 2>/dev/null
    ip netns del "$LAB-$1"
    host_net "$1"
    daemon_start "$1"
}

host_unmount() {
    local m round
    for round in 1 2 3; do
        awk -v a="$LAB_DATA/$1/" -v b="$LAB_RUN/$1/" \
            'index($5, a) == 1 || index($5, b) == 1 {print $5}' /proc/self/mountinfo | tac |
            while read -r m; do umount -l "$m" 2>/dev/null; done
    done
}

host_remove_cgroups() {
    local d
    host_cgroup_dirs "$1" | while read -r d; do rmdir "$d" 2>/dev/null; done
}

host_down() {
    local n=$1
    [ ! -e "$LAB_RUN/$n.pid" ] || daemon_kill "$n"
    host_reap "$n"
    host_unmount "$n"
    host_remove_cgroups "$n"
    ip netns del "$LAB-$n" 2>/dev/null
    rm -rf "${LAB_RUN:?}/$n" "$LAB_RUN/$n".* "${LAB_DATA:?}/$n"
}

lab_hosts() { ip netns list | awk -v p="$LAB-" 'index($1, p) == 1 {print substr($1, length(p) + 1)}' | grep -v '^lan$'; }

lab_down() {
    local n
    for n in $(lab_hosts); do host_down "$n"; done
    ip link del "$(lab_link 0)" 2>/dev/null
    ip netns del "$LAB-lan" 2>/dev/null
    rm -rf "${LAB_RUN:?}" "${LAB_DATA:?}"
}

w() { # w N COMMAND...
    local n=$1
    shift
    WHERRY_HOST=unix://$LAB_RUN/$n/wherry.sock "$WHERRY" "$@"
}

wait_for() { # wait_for SECONDS WHAT COMMAND...: until it succeeds
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "waited too long for: $what" >&2
            return 1
        fi
        sleep 0.05
    done
}

# Form a cluster of the hosts given: the first founds it, the others join.
cluster_form() {
    local first=$1 token n
    w "$first" init >"$LAB_RUN/init.out" || return 1
    token=$(w "$first" token -q) || return 1
    shift
    for n; do w "$n" join "$PREFIX.$first" --token "$token" >/dev/null || return 1; done
    wait_for 30 "all members up" members_up "$first" $(($# + 1))
}

members_up() { [ "$(w "$1" node ls --json | jq '[.[] | select(.status == "up" and .role != "joining")] | length')" = "$2" ]; }
