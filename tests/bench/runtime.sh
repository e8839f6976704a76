#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The runtime core beside containerd (ctr), dockerd and podman of the distribution, in one run: a
# container's start, exec, stop and end, many at once, an image loaded and pulled, memory.
#
#   sudo tests/bench/runtime.sh      BENCH_ROUNDS=5 BENCH_MANY=100 BENCH_PEER_MANY=20
#
# All of it happens in a network and a mount namespace of its own, so that the peers' firewall rules
# and mounts end with it. The peers are called as people call them, by their command lines; dockerd
# also through its HTTP API. A peer that is not installed is left out.
. "$(dirname "$0")/lib.sh"
. "$top/tests/e2e/lib.sh"
[ "$(id -u)" = 0 ] || { echo "run it as root"; exit 2; }
bench=$top/build/release/tests/bench/runtime_bench
if [ -z "${WHERRY_RUNTIME_BENCH:-}" ]; then
    "$top/deploy/demo/images.sh" "$images" busybox >/dev/null || exit 2
    WHERRY_RUNTIME_BENCH=1 exec unshare -mn "$0" "$@"
fi
many=${BENCH_MANY:-100} peer_many=${BENCH_PEER_MANY:-20}
samples_begin runtime
name=bench-runtime
begin bench-runtime 0
dir=$(mktemp -d /var/tmp/wherry-bench.XXXXXX)
tag=wherry-bench-$$
pids=()
registry=127.0.0.1:5080
reference=$registry/bench/noise:1
script="trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait \$!; done"

# --- the machine they share -----------------------------------------------------------------------

shims() { pgrep -f "containerd-shim.*$dir" || true; }
peers_end() {
    local p
    for p in $(shims); do kill -9 "$p" 2>/dev/null; done
    for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
    sleep 1
    for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done
}
cleanup() {
    trap - EXIT
    registry_stop
    podman rm -fa -t 0 >/dev/null 2>&1
    peers_end
    lab_down >/dev/null 2>&1
    grep -o " $dir[^ ]*" /proc/self/mountinfo | sort -ru | while read -r path; do umount -l "$path"; done
    rm -rf "$dir"
    # Parents that the peers leave; one that is in use stays.
    find /sys/fs/cgroup/*/{$tag*,docker,libpod_parent,default} -depth -type d -exec rmdir {} + 2>/dev/null
}
trap cleanup EXIT
trap 'exit 1' INT TERM
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
mount -t tmpfs tmpfs /etc/cni 2>/dev/null || { mkdir -p /etc/cni && mount -t tmpfs tmpfs /etc/cni; }
mount -t tmpfs tmpfs /opt && mkdir -p /opt/cni/bin /etc/cni/net.d && mount --bind /usr/lib/cni /opt/cni/bin
cat >/etc/cni/net.d/10-bench.conflist <<'JSON'
{"cniVersion": "0.4.0", "name": "bench", "plugins": [
  {"type": "bridge", "bridge": "bench0", "isGateway": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.199.0.0/16"}]], "dataDir": "/etc/cni/leases"}}]}
JSON

registry_start "$registry" >/dev/null || exit 1
noise_push "$registry" bench/noise 25 25 25 25 || exit 1
skopeo copy -q --src-tls-verify=false "docker://$reference" "docker-archive:$dir/noise.tar:$reference" || exit 1
skopeo copy -q "oci-archive:$images/busybox.tar" "docker-archive:$dir/busybox.tar:bench/busybox:1" || exit 1
busybox=docker.io/bench/busybox:1

# --- ours -----------------------------------------------------------------------------------------

ours() {
    local oci pull=$reference
    for oci in crun runc; do
        say "ours, with $oci"
        mkdir -p "$dir/$tag-$oci"
        "$bench" "$dir/$tag-$oci" "$top/build/release/bin" $oci "$rounds" "$many" \
            "$images/busybox.tar" "$dir/noise.tar" ${pull:+"$pull"} >>"$samples" || exit 1
        pull=
    done
    say "a member"
    host_up 1 && cluster_form 1 || exit 1
    local pid
    pid=$(pgrep -f "^$WHERRY node.*$LAB_DATA/1( |\$)" | head -1)
    sleep 2
    for _ in 1 2 3; do
        sample daemon_rss "$(memory_of "$pid" Rss)"
        sample daemon_pss "$(memory_of "$pid" Pss)"
    done
}

# --- peers: one function for each thing, $1 is a number -------------------------------------------

ctr_() { command ctr -a "$dir/ctd.sock" "$@"; }
docker_() { command docker -H "unix://$dir/docker.sock" "$@"; }
podman() {
    CONTAINERS_STORAGE_CONF=$dir/storage.conf command podman --cgroup-manager=cgroupfs \
        --events-backend=file --runtime runc "$@"
}
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

ctr_up() {
    printf 'version = 2\nroot = "%s/ctd"\nstate = "%s/ctd-state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s"\n' \
        "$dir" "$dir" "$dir/ctd.sock" >"$dir/ctd.toml"
    containerd -c "$dir/ctd.toml" >"$dir/ctd.log" 2>&1 &
    pids+=($!) ctr_pids=($!)
    wait_for 20 containerd ctr_ version >/dev/null
}
docker_up() {
    mkdir -p "$dir/docker"
    dockerd --data-root "$dir/docker" --exec-root "$dir/docker-run" --pidfile "$dir/docker.pid" \
        -H "unix://$dir/docker.sock" --storage-driver overlay2 --insecure-registry "$registry" >"$dir/docker.log" 2>&1 &
    pids+=($!)
    docker_pid=$!
    wait_for 60 dockerd docker_ version >/dev/null || return 1
    docker_pids=("$docker_pid" "$(pgrep -P "$docker_pid" containerd)")
}
podman_up() {
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/podman"\nrunroot = "%s/podman-run"\n' "$dir" "$dir" >"$dir/storage.conf"
    podman_pids=()
    podman info >/dev/null
}
ctr_load() { ctr_ images import "$1"; }
docker_load() { docker_ load -i "$1"; }
podman_load() { podman load -i "$1"; }
ctr_pull() { ctr_ images pull --plain-http "$reference"; }
docker_pull() { docker_ pull "$reference"; }
podman_pull() { podman pull --tls-verify=false "$reference"; }
ctr_rmi() { ctr_ images rm --sync "$1"; }
docker_rmi() { docker_ rmi -f "$1"; }
podman_rmi() { podman rmi -f "$1"; }
ctr_run() { # ctr_run NUMBER none|net [detached]
    ctr_ run ${3:+-d} $([ "$2" = net ] && echo --cni) --memory-limit 67108864 $busybox "c$1" /bin/sh -c "$script"
}
docker_run() {
    docker_ run ${3:+-d} --name "c$1" $([ "$2" = none ] && echo --network none) -m 64m --pids-limit 64 $busybox /bin/sh -c "$script"
}
podman_run() {
    podman run ${3:+-d} --name "c$1" --network "$([ "$2" = none ] && echo none || echo bench)" "${limits[@]}" -m 64m --pids-limit 64 $busybox /bin/sh -c "$script"
}
ctr_exec() { ctr_ task exec --exec-id e$RANDOM "c$1" /bin/true; }
docker_exec() { docker_ exec "c$1" /bin/true; }
podman_exec() { podman exec "c$1" /bin/true; }
# The attached "ctr run" removes the task itself.
ctr_stop() { ctr_ task kill -s TERM "c$1" && while ctr_ task ls -q | grep -qx "c$1"; do sleep 0.005; done; }
docker_stop() { docker_ stop "c$1"; }
podman_stop() { podman stop "c$1"; }
ctr_rm() {
    ctr_ task rm -f "c$1" >/dev/null 2>&1
    while ctr_ task ls -q | grep -qx "c$1"; do sleep 0.05; done
    ctr_ c rm "c$1"
}
docker_rm() { docker_ rm -f "c$1"; }
podman_rm() { podman rm -f -t 0 "c$1"; }

timed() { # timed KEY COMMAND...
    local key=$1 start
    shift
    start=$(now)
    "$@" >/dev/null 2>"$dir/said" || { echo "$*: $(cat "$dir/said")" >&2; return 1; }
    sample "$key" "$((($(now) - start) / 10000))e-2"
}
# The time until the first line; the command goes on.
first() { # first KEY COMMAND...
    local key=$1 start line
    shift
    start=$(now)
    exec 7< <("$@" 2>"$dir/said")
    read -r line <&7
    [ "$line" = up ] || { echo "$*: $(cat "$dir/said")" >&2; return 1; }
    sample "$key" "$((($(now) - start) / 10000))e-2"
    exec 7<&-
}
# The same through dockerd's API, without its command line.
docker_api() { # docker_api none|bridge
    python3 - "$dir/docker.sock" "$1" "$busybox" "$script" "$rounds" <<'PYTHON'
import http.client, json, socket, sys, time
path, net, image, script, rounds = sys.argv[1:]
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
def call(c, method, url, body=None):
    c.request(method, "/v1.41" + url, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
    return c.getresponse()
for i in range(int(rounds)):
    c = Connection("docker")
    start = time.time()
    host = {"NetworkMode": net, "Memory": 64 << 20, "PidsLimit": 64}
    made = json.load(call(c, "POST", "/containers/create", {"Image": image, "Cmd": ["/bin/sh", "-c", script], "HostConfig": host}))
    call(c, "POST", "/containers/%s/start" % made["Id"]).read()
    log = Connection("docker")
    assert b"up" in call(log, "GET", "/containers/%s/logs?follow=1&stdout=1" % made["Id"]).read(11)
    print("docker_api_start_%s %.2f" % ("none" if net == "none" else "net", (time.time() - start) * 1000))
    call(c, "DELETE", "/containers/%s?force=1" % made["Id"]).read()
PYTHON
}

peer() { # peer NAME
    local p=$1 i start n net=net
    "${p}_up" || { say "$p does not start: $(tail -3 "$dir"/*.log)"; return 1; }
    "${p}_load" "$dir/busybox.tar" >/dev/null || return 1
    local -n daemon=${p}_pids
    [ "${#daemon[@]}" = 0 ] || {
        sample "${p}_daemon_rss" "$(memory_sum Rss "${daemon[@]}")"
        sample "${p}_daemon_pss" "$(memory_sum Pss "${daemon[@]}")"
    }
    for i in $(seq "$rounds"); do
        say "$p, round $i"
        first "${p}_start_none" "${p}_run" "$i" none && "${p}_rm" "$i" >/dev/null 2>&1
        first "${p}_start_net" "${p}_run" "$i" net || { net=none; "${p}_rm" "$i" >/dev/null 2>&1; first "${p}_start_x" "${p}_run" "$i" none; }
        timed "${p}_exec" "${p}_exec" "$i"
        timed "${p}_stop" "${p}_stop" "$i"
        timed "${p}_remove" "${p}_rm" "$i"
        [ "$i" -le 3 ] || continue
        timed "${p}_load" "${p}_load" "$dir/noise.tar" && "${p}_rmi" "$reference" >/dev/null
        timed "${p}_pull" "${p}_pull" && "${p}_rmi" "$reference" >/dev/null
    done
    [ "$p" != docker ] || { docker_api none; docker_api bridge; } >>"$samples"
    say "$p, $peer_many at once"
    n=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
    start=$(now)
    for i in $(seq "$peer_many"); do
        "${p}_run" "m$i" "$net" detached >/dev/null 2>&1 &
        [ $((i % 4)) -ne 0 ] || wait $!
    done
    for i in $(jobs -rp); do [[ " ${pids[*]} $registry_pid " == *" $i "* ]] || wait "$i"; done
    sample "${p}_many_rate" "$(awk -v n="$peer_many" -v ms="$(since_ms "$start")" 'BEGIN {print n * 1000 / ms}')"
    sleep 1
    sample "${p}_all_told" $(((n - $(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)) / peer_many))
    case $p in
    podman) i=$(pgrep -x conmon) ;;
    docker) i=$(pgrep -f "containerd-shim.*docker-run") ;;
    *) i=$(pgrep -f "containerd-shim.*$dir/ctd.sock") ;;
    esac
    # shellcheck disable=SC2086
    [ -z "$i" ] || sample "${p}_shim_pss" $(($(memory_sum Pss $i) / $(wc -w <<<"$i")))
    [ "${#daemon[@]}" = 0 ] || sample "${p}_daemon_busy_rss" "$(memory_sum Rss "${daemon[@]}")"
    for i in $(seq "$peer_many"); do "${p}_rm" "m$i" >/dev/null 2>&1; done
}

runtime_rows() {
    cat <<'ROWS'
start_net|start with a network, to its first line, ms|40
start_none|the same without one, ms|
api_start_net|the same as the first through the API, ms|
exec|exec of true, ms|
stop|stop, ms|
remove|remove, ms|
many_rate|started a second, many at once|20
load|100 MB archive loaded, ms|
pull|100 MB pulled from a registry, ms|
daemon_rss|the daemon resident, KiB|
daemon_pss|the daemon, PSS, KiB|
shim_pss|a shim, PSS, KiB|300
all_told|a container all told, KiB|1024
ROWS
}

# Medians; a row of ours beside each peer, with how many times of ours it is.
runtime_table() {
    runtime_rows | awk -F'|' -v samples="$samples" '
        function median(key, i, k, t, v, n) {
            n = count[key]
            if (!n) return -1
            for (i = 1; i <= n; i++) v[i] = all[key, i]
            for (i = 2; i <= n; i++)
                for (k = i; k > 1 && v[k - 1] > v[k]; k--) { t = v[k]; v[k] = v[k - 1]; v[k - 1] = t }
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        function show(x) { return x >= 100 ? sprintf("%.0f", x) : sprintf("%.1f", x) }
        function cell(key, own, m) {
            m = median(key)
            if (m < 0) return ""
            return own > 0 && m > 0 ? sprintf("%s (%.1f x)", show(m), m / own) : show(m)
        }
        BEGIN {
            while ((getline line <samples) > 0) { split(line, part, " "); all[part[1], ++count[part[1]]] = part[2] + 0 }
            print "| what | Wherry, crun | Wherry, runc | goal | containerd | dockerd | podman |"
            print "| --- | --: | --: | --: | --: | --: | --: |"
        }
        {
            own = median("crun_" $1)
            if (own < 0) own = median($1)
            printf "| %s | %s | %s | %s | %s | %s | %s |\n", $2, own < 0 ? "" : show(own), cell("runc_" $1, own), $3,
                cell("ctr_" $1, own), cell("docker_" $1, own), cell("podman_" $1, own)
        }'
}

ours
command -v ctr >/dev/null && peer ctr
command -v dockerd >/dev/null && peer docker
command -v podman >/dev/null && peer podman
say "load of the machine: $(cut -d' ' -f1-3 /proc/loadavg)"
runtime_table
