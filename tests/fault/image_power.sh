#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Power cuts while and right after an image is loaded: what is listed is whole, what is not can be
# loaded again. The disk is an ext4 in a file, shut down without flushing its journal.
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
    deploy/demo/images.sh "$images" redis || exit 2
    images=$(realpath "$images")
    WHERRY_POWER_TEST=1 exec unshare -m "$0" "$driver" "$programs" "$images"
fi

dir=$(mktemp -d /var/tmp/wherry-power.XXXXXX)
data=$dir/disk/data
passed=0 failed=0
cleanup() {
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
new_disk() {
    umount "$dir/disk" 2>/dev/null
    rm -f "$dir/ext4"
    truncate -s 256M "$dir/ext4"
    mkfs.ext4 -q "$dir/ext4"
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
contents() {
    drive layers demo/redis:1 | while read -r layer; do
        (cd "$layer" && find . -printf '%P %y %m %U %G %l\n' | sort &&
            find . -type f -print0 | sort -z | xargs -0 sha256sum)
    done | sha256sum
}

new_disk
drive load "$images/redis.tar" >/dev/null || fail "the image is loaded"
before=$(contents)
drive cut || exit 2
restart
is "a loaded image outlives a power cut" "$(drive ls | cut -d' ' -f1)" docker.io/demo/redis:1
is "with every byte" "$(contents)" "$before"

# Cut at moments spread over the time that loading takes.
listed=0 bad=''
for ms in 5 20 40 60 80 100 120 150 200 250 300 500 800 1200; do
    new_disk
    drive load "$images/redis.tar" >/dev/null &
    sleep "$(printf '0.%03d' $ms)"
    drive cut || exit 2
    wait $!
    restart
    if drive ls | grep -q redis; then
        listed=$((listed + 1))
        [ "$(contents)" = "$before" ] || bad+=" $ms:damaged"
    fi
    drive load "$images/redis.tar" >/dev/null || bad+=" $ms:not-again"
    [ "$(contents)" = "$before" ] || bad+=" $ms:not-whole"
done
is "whatever the moment, what is listed is whole, else it loads again" "$bad" ""
echo "     ($listed of 14 were listed)"

echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
