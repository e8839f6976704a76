# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Docker's daemon on a host of deploy/demo/hosts.sh: each with a containerd of its own. Sourced.

dockerd_cgroup() { echo "$LAB-h$1"; }

# A group for the daemons and their shims; containers go beside it.
dockerd_cgroup_enter() {
    local root=/sys/fs/cgroup
    [ -e $root/cgroup.controllers ] || root=/sys/fs/cgroup/pids
    mkdir -p "$root/$1/daemon" && echo "$BASHPID" >"$root/$1/daemon/cgroup.procs"
}

start_in_host() { # start_in_host N LOG COMMAND...; prints its pid
    local n=$1 log=$2
    shift 2
    (
        dockerd_cgroup_enter "$(dockerd_cgroup "$n")"
        exec setsid nsenter --net="/run/netns/$LAB-$n" "$@"
    ) >>"$log" 2>&1 </dev/null &
    disown
    echo $!
}

dockerd_start() { # dockerd_start N: containerd unless it runs, and dockerd
    local n=$1 run=$LAB_RUN/$1 data=$LAB_DATA/$1
    mkdir -p "$run" "$data"
    if ! kill -0 "$(cat "$LAB_RUN/$n.containerd" 2>/dev/null)" 2>/dev/null; then
        cat >"$run/containerd.toml" <<TOML
version = 2
root = "$data/containerd"
state = "$run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$run/containerd.sock"
TOML
        rm -f "$run/containerd.sock"
        start_in_host "$n" "$LAB_RUN/$n.log" containerd -c "$run/containerd.toml" >"$LAB_RUN/$n.containerd"
        wait_for 20 "containerd of host $n" test -S "$run/containerd.sock"
    fi
    rm -f "$run/docker.pid"
    in_host "$n" sysctl -qw net.ipv4.ip_forward=1
    start_in_host "$n" "$LAB_RUN/$n.log" /usr/sbin/dockerd --containerd="$run/containerd.sock" \
        --data-root="$data/docker" --exec-root="$run/docker" --pidfile="$run/docker.pid" \
        -H "unix://$run/docker.sock" --storage-driver=overlay2 \
        --cgroup-parent="/$(dockerd_cgroup "$n")" >"$LAB_RUN/$n.pid"
    wait_for 40 "dockerd of host $n" api "$n" GET /_ping
}

api() { # api N METHOD PATH [JSON]
    curl -sf --max-time 60 --unix-socket "$LAB_RUN/$1/docker.sock" -X "$2" \
        -H 'Content-Type: application/json' ${4:+-d "$4"} "http://docker/v1.41$3"
}

engine() { # engine N COMMAND...
    local n=$1
    shift
    /usr/bin/docker -H "unix://$LAB_RUN/$n/docker.sock" "$@"
}
