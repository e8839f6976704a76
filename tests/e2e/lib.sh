# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the end-to-end tests share: hosts (deploy/demo/hosts.sh), images, and counting.
#
#   . "$(dirname "$0")/lib.sh"
#   begin NAME [HOSTS]         a lab of its own, HOSTS of them up and in one cluster
#   test_case "what holds" COMMAND...      prints "ok" or "FAIL", goes on
#   finish                     takes the lab down, prints the counts, exits

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$top/deploy/demo/hosts.sh"
WHERRY=${WHERRY_PROGRAMS:-$top/build/release/bin}/wherry
images=$top/build/images
passed=0 failed=0

# LAB_SUFFIX keeps runs apart that go on at the same time.
begin() { # begin NAME HOSTS
    local n hash
    name=$1
    LAB=wherry-$name${LAB_SUFFIX:-}
    hash=$(cksum <<<"$LAB" | cut -d' ' -f1)
    # A run that was cut off must not fail the next one.
    if lab_find "$LAB" || ip netns list | grep -q "^$LAB-"; then
        LAB_DATA=${LAB_DATA:-/var/lib/$LAB}
        lab_down
    fi
    unset LAB_DATA
    "$top/deploy/demo/images.sh" "$images" busybox nginx redis web >/dev/null || exit 1
    lab_up "$LAB" "10.$((64 + hash / 250 % 64)).$((hash % 250))"
    trap finish EXIT
    for n in $(seq "$2"); do host_up "$n"; done
    # shellcheck disable=SC2046
    [ "$2" -eq 0 ] || cluster_form $(seq "$2") || { echo "FAIL $name: no cluster"; exit 1; }
}

load() { # load IMAGE HOST...
    local image=$1 n
    shift
    for n; do w "$n" image load "$images/$image.tar" >/dev/null || return 1; done
}

test_case() {
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok   $name: $what"
    else
        failed=$((failed + 1))
        echo "FAIL $name: $what"
        sed 's/^/     | /' <<<"$out" | tail -20
        [ -z "${STOP:-}" ] || { trap - EXIT; exit 1; }
    fi
}

finish() {
    trap - EXIT
    if [ $failed -gt 0 ]; then
        for log in "$LAB_RUN"/*.log; do
            echo "--- $log"
            tail -15 "$log"
        done
    fi
    [ -n "${KEEP:-}" ] || lab_down
    echo "$passed passed, $failed failed, 0 skipped"
    [ -z "${WHERRY_COUNTS:-}" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
    [ $failed -eq 0 ]
    exit
}

# --- questions about the cluster ------------------------------------------------------------------

tasks() { w "$1" ps "$2" --json; } # tasks N NAME

# running N NAME: how many tasks of NAME run and are to run
running() { tasks "$1" "$2" | jq '[.[] | select(.state == "running" and .desired == "run")] | length'; }

running_is() { [ "$(running "$1" "$2")" = "$3" ]; }

leader() { w "$1" node ls --stale --json | jq -r '.[] | select(.leader) | .name' | tr -d n; }

has_leader() { [ -n "$(leader "$1")" ]; }

# A member of the given ones that does not lead.
follower() {
    local l n
    l=$(leader "$1")
    for n; do [ "$n" = "$l" ] || { echo "$n"; return; }; done
}

# pids_in N ID: processes in the cgroup of container ID on host N, the oldest first
pids_in() { # by the time they began (proc(5), field 22): numbers begin again at pid_max
    local pid
    for pid in $(cat /sys/fs/cgroup/*/"$(host_cgroup "$1")/container/$2"/cgroup.procs 2>/dev/null | sort -un); do
        sed "s/.*) //" "/proc/$pid/stat" 2>/dev/null | awk -v pid="$pid" '{print $20, pid}'
    done | sort -k1,1n -k2,2n | cut -d' ' -f2
}

# shim_of N ID: its shim
shim_of() {
    local p
    for p in $(cat /sys/fs/cgroup/*/"$(host_cgroup "$1")"/shim/cgroup.procs 2>/dev/null | sort -un); do
        if tr '\0' ' ' <"/proc/$p/cmdline" | grep -qE "[/ ]$2( |\$)"; then
            echo "$p"
            return
        fi
    done
}

# compose FILE-NAME: write standard input as a Compose file of its own folder; prints its path
compose() {
    mkdir -p "$LAB_RUN/projects/$1"
    cat >"$LAB_RUN/projects/$1/compose.yaml"
    echo "$LAB_RUN/projects/$1/compose.yaml"
}

says() { # says PATTERN COMMAND...: fails, and its message has the pattern
    local pattern=$1 out
    shift
    if out=$("$@" 2>&1); then
        echo "it succeeded: $out"
        return 1
    fi
    grep -qE -- "$pattern" <<<"$out" || { echo "it said: $out"; return 1; }
}

# --- images that nobody has -----------------------------------------------------------------------

# registry_start ADDRESS: a registry on the disk of the lab, its process in registry_pid, what it is
# asked in $LAB_RUN/registry.log; the same again after registry_stop
registry_start() {
    mkdir -p "$LAB_DATA/store"
    cat >"$LAB_RUN/registry.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $LAB_DATA/store}}
http: {addr: $1}
log: {level: error}
YAML
    docker-registry serve "$LAB_RUN/registry.yaml" >>"$LAB_RUN/registry.log" 2>&1 &
    registry_pid=$!
    wait_for 10 "registry" curl -fsS "http://$1/v2/"
}

registry_stop() {
    [ -z "${registry_pid:-}" ] || kill "$registry_pid" 2>/dev/null
    wait "${registry_pid:-}" 2>/dev/null
    registry_pid=
}

# noise_push ADDRESS NAME MEGABYTES...: push NAME:1, busybox and a layer of noise for each number; sets
# noise_bytes (of all blobs) and noise_largest (a digest)
noise_push() {
    local dir=$LAB_RUN/push registry=$1 name=$2 size layers='[]' diffs='[]' hex digest location
    local oci=application/vnd.oci.image blob
    rm -rf "$dir" && mkdir -p "$dir/blobs" "$dir/busybox"
    tar -C "$dir/busybox" -xf "$images/busybox.tar"
    digest=$(jq -r '.manifests[0].digest' "$dir/busybox/index.json")
    layers=$(jq -c .layers "$dir/busybox/blobs/sha256/${digest#sha256:}")
    digest=$(jq -r .config.digest "$dir/busybox/blobs/sha256/${digest#sha256:}")
    diffs=$(jq -c .rootfs.diff_ids "$dir/busybox/blobs/sha256/${digest#sha256:}")
    for hex in $(jq -r '.[].digest' <<<"$layers"); do
        mv "$dir/busybox/blobs/sha256/${hex#sha256:}" "$dir/blobs/"
    done
    shift 2
    for size; do
        mkdir -p "$dir/root"
        head -c "${size}000000" /dev/urandom >"$dir/root/noise.$RANDOM"
        tar -C "$dir/root" -cf "$dir/layer" .
        rm -r "$dir/root"
        hex=$(sha256sum "$dir/layer" | cut -d' ' -f1)
        mv "$dir/layer" "$dir/blobs/$hex"
        layers=$(jq -c --arg d "sha256:$hex" --argjson s "$(stat -c %s "$dir/blobs/$hex")" \
            --arg m $oci.layer.v1.tar '.+[{mediaType:$m,digest:$d,size:$s}]' <<<"$layers")
        diffs=$(jq -c --arg d "sha256:$hex" '.+[$d]' <<<"$diffs")
    done
    jq -cn --argjson d "$diffs" --arg a "$(dpkg --print-architecture)" \
        '{architecture:$a,os:"linux",config:{Cmd:["sleep","100000"]},rootfs:{type:"layers",diff_ids:$d}}' >"$dir/config"
    hex=$(sha256sum "$dir/config" | cut -d' ' -f1)
    jq -cn --arg d "sha256:$hex" --argjson s "$(stat -c %s "$dir/config")" --argjson l "$layers" \
        --arg m $oci.manifest.v1+json --arg c $oci.config.v1+json \
        '{schemaVersion:2,mediaType:$m,config:{mediaType:$c,digest:$d,size:$s},layers:$l}' >"$dir/manifest"
    mv "$dir/config" "$dir/blobs/$hex"
    for blob in "$dir"/blobs/*; do
        location=$(curl -fsS -X POST -D - -o /dev/null "http://$registry/v2/$name/blobs/uploads/" |
            tr -d '\r' | awk 'tolower($1) == "location:" {print $2}')
        curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$blob" \
            "$location&digest=sha256:$(basename "$blob")" || return 1
    done
    curl -fsS -X PUT -H "Content-Type: $oci.manifest.v1+json" --data-binary "@$dir/manifest" \
        "http://$registry/v2/$name/manifests/1" || return 1
    noise_largest=$(jq -r '.layers | max_by(.size).digest' "$dir/manifest")
    noise_bytes=$(jq '[.config.size, .layers[].size] | add' "$dir/manifest")
    rm -rf "$dir"
}

# registry_gave NAME: bytes of its blobs, by the registry's log
registry_gave() {
    grep "GET /v2/$1/blobs/" "$LAB_RUN/registry.log" |
        sed -n 's/.*HTTP\/1\.[01]" 20[06] \([0-9]*\).*/\1/p' | awk '{n += $1} END {print n + 0}'
}
