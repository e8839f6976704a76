#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Power cuts while and right after an image is loaded or pulled, and a disk that is full at any step:
# what is listed is whole, what is not can be had again, nothing is left behind. The disk is an ext4
# in a file, shut down without flushing its journal. CUTS says how many cuts (100 for a long run).
# usage: tests/fault/image_power.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
cd "$(dirname "$0")/../.." || exit 2
driver=$(realpath "${1:-build/release/tests/e2e/imagedriver}")
programs=$(realpath "${2:-build/release/bin}")
images=${3:-build/images}
[ "$(id -u)" = 0 ] || { echo "run it as root: it mounts"; exit 2; }
for program in "$driver" "$programs/wherry-image"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
if [ -z "$WHERRY_POWER_TEST" ]; then
    deploy/demo/images.sh "$images" redis torture || exit 2
    images=$(realpath "$images")
    WHERRY_POWER_TEST=1 exec unshare -m -n "$0" "$driver" "$programs" "$images"
fi
ip link set lo up

cuts=${CUTS:-24}
dir=$(mktemp -d /var/tmp/wherry-power.XXXXXX)
data=$dir/disk/data
passed=0 failed=0 server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    wait 2>/dev/null
    umount "$dir/disk" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
drive() { "$driver" "$data" "$programs" "$@" 2>&1; }
new_disk() { # new_disk MIB
    umount "$dir/disk" 2>/dev/null
    rm -f "$dir/ext4"
    truncate -s "$1M" "$dir/ext4"
    mkfs.ext4 -q -m 0 "$dir/ext4"
    mkdir -p "$dir/disk"
    mount -o loop "$dir/ext4" "$dir/disk"
    mkdir "$data"
    sync -f "$data"
}
# What a restart finds: the journal is replayed.
restart() {
    umount "$dir/disk" && mount -o loop "$dir/ext4" "$dir/disk" || exit 2
}
# A digest over names, modes, owners and content of all layers of the image.
contents() { # contents IMAGE
    drive layers "$1" | while read -r layer; do
        (cd "$layer" && find . -printf '%P %y %m %U %G %l\n' | sort &&
            find . -type f -print0 | sort -z | xargs -0 sha256sum)
    done | sha256sum
}
leftovers() { find "$data/images/blobs" "$data/images/layers" "$data/images/ingest" -mindepth 2 2>/dev/null | grep -cv -e sha256$ -e ingest/pull$; }

# --- a registry ---
registry=127.0.0.1:5000
cat >"$dir/registry.yml" <<C
version: 0.1
storage: {filesystem: {rootdirectory: $dir/registry}}
http: {addr: '$registry'}
log: {level: error}
C
docker-registry serve "$dir/registry.yml" >"$dir/registry.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    (exec 3<>/dev/tcp/127.0.0.1/5000) 2>/dev/null && break
    sleep 0.1
done
skopeo copy --insecure-policy --preserve-digests -q --dest-tls-verify=false \
    "oci-archive:$images/torture.tar" "docker://$registry/torture:1" || fail "the image is in a registry"

# --- cuts ---
new_disk 256
drive load "$images/redis.tar" >/dev/null || fail "the image is loaded"
before=$(contents demo/redis:1)
drive cut || exit 2
restart
is "a loaded image outlives a power cut" "$(drive ls | cut -d' ' -f1)" docker.io/demo/redis:1
is "with every byte" "$(contents demo/redis:1)" "$before"
is "by its own check too" "$(drive check >/dev/null; echo $?)" 0

# Cuts at moments spread over the time that it takes and some more, loads and pulls in turn, one
# disk after the other cut: each finds what the one before left.
start=$(date +%s%N)
drive load "$images/torture.tar" >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
want=$(contents demo/torture:1)
listed=0 bad=
for i in $(seq "$cuts"); do
    image=demo/torture:1 how=(load "$images/torture.tar")
    [ $((i % 2)) = 0 ] || image=$registry/torture:1 how=(pull "$registry/torture:1")
    drive rm demo/torture:1 >/dev/null
    drive rm "$registry/torture:1" >/dev/null
    sync -f "$data"
    drive "${how[@]}" >/dev/null &
    job=$!
    sleep "$(awk -v i="$i" -v n="$cuts" -v t="$took" 'BEGIN {printf "%.3f", i * 2.5 * t / n / 1000}')"
    drive cut || exit 2
    wait $job
    restart
    if drive ls | grep -q "$image"; then
        listed=$((listed + 1))
        [ "$(contents "$image")" = "$want" ] || bad+=" $i:damaged"
    fi
    out=$(drive check) || bad+=" $i:check:$out"
    drive "${how[@]}" >/dev/null || bad+=" $i:not-again"
    out=$(drive check) || bad+=" $i:check-again:$out"
    [ "$(contents "$image")" = "$want" ] || bad+=" $i:not-whole"
done
is "after each of $cuts cuts what is listed is whole, and the rest is had again" "$bad" ""
echo "     ($listed of $cuts were listed)"
drive rm demo/torture:1 >/dev/null
drive rm "$registry/torture:1" >/dev/null
drive rm demo/redis:1 >/dev/null
drive prune all >/dev/null
is "no cut left anything behind" "$(leftovers)" 0

# --- a full disk ---
# Leave so many kB, or fill it up after so many milliseconds; then everything works again.
fill() { # fill KB-LEFT
    local free
    free=$(df --output=avail -k "$dir/disk" | tail -1)
    [ "$free" -le "$1" ] || fallocate -l "$((free - $1))K" "$dir/disk/filler" 2>/dev/null
}
after_full() { # after_full WHAT EXIT-STATUS
    case $2 in
        0) out=$(drive check) || bad+=" $1:listed-and-broken:$out" ;;
        11) ;; # no space left, input/output error
        *) bad+=" $1:status-$2" ;;
    esac
    rm -f "$dir/disk/filler"
    out=$(drive check) || bad+=" $1:check:$out"
    drive load "$images/torture.tar" >/dev/null || bad+=" $1:not-again"
    out=$(drive check) || bad+=" $1:check-again:$out"
    drive rm demo/torture:1 >/dev/null
    drive prune all >/dev/null
    [ "$(leftovers)" = 0 ] || bad+=" $1:left-$(leftovers)"
}
new_disk 48
drive ls >/dev/null
bad='' full=0
for kb in 0 300 1000 1500 2000 3000 4000 6000 9000 12000 16000; do
    fill $kb
    drive load "$images/torture.tar" >/dev/null
    status=$?
    [ $status = 0 ] || full=$((full + 1))
    after_full "$kb-kB-left" $status
done
for ms in 20 60 100 150 200 300; do
    drive load "$images/torture.tar" >/dev/null &
    job=$!
    sleep "0.$(printf '%03d' $ms)"
    fill 0
    wait $job
    after_full "full-after-$ms-ms" $?
done
is "a full disk at any step: an error, nothing left, and it works again" "$bad" ""
echo "     ($full of 11 loads had too little room)"
[ $full -gt 3 ] && ok "some had too little room" || fail "some had too little room"

# A pull that meets a full disk deletes what is unused and goes on.
drive load "$images/redis.tar" >/dev/null
drive keep >/dev/null
fill 1400
is "a pull makes room by what is unused" "$(drive pull "$registry/torture:1" >/dev/null; echo $?)" 0
is "which is gone" "$(drive ls | cut -d' ' -f1)" "$registry/torture:1"
rm -f "$dir/disk/filler"
drive load "$images/redis.tar" >/dev/null
drive keep "docker.io/demo/redis:1" >/dev/null
fill 500
is "what a service needs stays when the disk is short" "$(drive room | grep -v -e bytes -e INFO)" "$registry/torture:1"
is "it alone" "$(drive ls | cut -d' ' -f1)" docker.io/demo/redis:1

echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
