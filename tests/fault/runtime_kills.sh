#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The runtime killed at random moments of a container's life and of an image's way here, on a full
# disk, and over many lives: what is found afterwards is sane, can be used, and leaves nothing.
#
#   CYCLES=500 ROUNDS=300 SEED=7 tests/fault/runtime_kills.sh
#
# usage: tests/fault/runtime_kills.sh [RUNDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
cd "$(dirname "$0")/../.." || exit 2
driver=$(realpath "${1:-build/release/tests/fault/rundriver}")
programs=$(realpath "${2:-build/release/bin}")
images=${3:-build/images}
cycles=${CYCLES:-10} rounds=${ROUNDS:-10} seed=${SEED:-$RANDOM}
[ "$(id -u)" = 0 ] || { echo "run it as root: it mounts"; exit 2; }
[ -x "$driver" ] || { echo "$driver is missing: make $driver"; exit 2; }
# A network of its own, and mounts that end with it whatever happens.
if [ -z "$WHERRY_RUNTIME_KILLS" ]; then
    deploy/demo/images.sh "$images" busybox redis >/dev/null || exit 2
    images=$(realpath "$images")
    WHERRY_RUNTIME_KILLS=1 exec unshare -mn "$0" "$driver" "$programs" "$images"
fi
ip link set lo up

dir=$(mktemp -d /var/tmp/wherry-life.XXXXXX)
tag=wherry-life-$$
passed=0 failed=0 registry_pid=
cleanup() {
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null
    # What a failed case left: its processes are in groups of ours.
    cat /sys/fs/cgroup/*/$tag*/{shim,container/*}/cgroup.procs 2>/dev/null | sort -u |
        while read -r pid; do kill -9 "$pid"; done 2>/dev/null
    sleep 0.2
    find /sys/fs/cgroup/*/$tag* -depth -type d -exec rmdir {} + 2>/dev/null
    grep -o " $dir[^ ]*" /proc/self/mountinfo | sort -ru | while read -r path; do umount -l "$path"; done
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

test_case() { # test_case WHAT NAME ARGUMENT...: a root of its own
    local what=$1 root=$dir/$tag-$2 out
    shift 2
    mkdir -p "$root"
    [ -e "$root/image.tar" ] || cp "$images/busybox.tar" "$root/image.tar"
    if out=$(timeout 600 "$driver" "$root" "$programs" "$@" 2>&1); then
        echo "ok   $what"
        passed=$((passed + 1))
    else
        echo "FAIL $what (the driver ended with $?)"
        failed=$((failed + 1))
    fi
    [ -z "$out" ] || grep -v '^$' <<<"$out"
}

# A registry that only these mounts and this network know.
registry() {
    mkdir "$dir/store"
    cat >"$dir/registry.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $dir/store}}
http: {addr: "127.0.0.1:5077"}
log: {level: error}
YAML
    docker-registry serve "$dir/registry.yaml" >/dev/null 2>&1 &
    registry_pid=$!
    for _ in $(seq 100); do
        curl -fs http://127.0.0.1:5077/v2/ >/dev/null && break
        sleep 0.1
    done
    timeout 60 skopeo copy -q --dest-tls-verify=false "oci-archive:$images/redis.tar" \
        docker://127.0.0.1:5077/demo/redis:1
}

# small_disk NAME MIB: the data of case NAME are on a disk of so many MiB, the rest in memory, as /run is
small_disk() {
    truncate -s "$2M" "$dir/$1.ext4" && mkfs.ext4 -q -m 0 "$dir/$1.ext4" &&
        mkdir -p "$dir/$tag-$1"/{data,run} && mount -o loop "$dir/$1.ext4" "$dir/$tag-$1/data" &&
        mount -t tmpfs tmpfs "$dir/$tag-$1/run"
}

echo "     (seed $seed)"
test_case "$cycles lives leave nothing" cycles cycles "$cycles"
test_case "$rounds kills of daemons and shims leave nothing that does not go" kills kills "$seed" "$rounds"
test_case "killed while an image is loaded" load images "$seed" $((rounds / 2)) "$images/redis.tar"
if command -v docker-registry skopeo >/dev/null && registry; then
    test_case "killed while an image is pulled" pull images "$seed" $((rounds / 2)) - 127.0.0.1:5077/demo/redis:1
else
    test_case "there is a registry" none nothing
fi
if small_disk full 48; then
    test_case "a full disk" full full "$dir/$tag-full/data"
else
    echo "FAIL a full disk: a small one could not be made"
    failed=$((failed + 1))
fi

echo "$passed passed, $failed failed, 0 skipped"
[ -z "$WHERRY_COUNTS" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ $failed -eq 0 ]
