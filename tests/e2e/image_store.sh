#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images on one machine without a cluster: names, archives that other tools read, what is collected
# and what stays, damage that is found and healed.
# usage: tests/e2e/image_store.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
cd "$(dirname "$0")/../.." || exit 2
driver=$(realpath "${1:-build/release/tests/e2e/imagedriver}")
programs=$(realpath "${2:-build/release/bin}")
images=${3:-build/images}
[ "$(id -u)" = 0 ] || { echo "run it as root: layers hold files of several owners"; exit 2; }
for program in "$driver" "$programs/wherry-image"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
deploy/demo/images.sh "$images" busybox redis torture || exit 2
images=$(realpath "$images")
dir=$(mktemp -d /var/tmp/wherry-store.XXXXXX)
data=$dir/data
passed=0 failed=0
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
drive() { "$driver" "$data" "$programs" "$@" 2>&1; }
succeeds() { # succeeds NAME VERB ARG...
    local name=$1 out
    shift
    if out=$(drive "$@"); then ok "$name"; else fail "$name" "$out"; fi
}
refuses() { # refuses NAME PATTERN VERB ARG...
    local name=$1 pattern=$2 out
    shift 2
    if out=$(drive "$@"); then
        fail "$name" "it worked"
    elif [[ $out == *$pattern* ]]; then
        ok "$name"
    else
        fail "$name" "it said: $out"
    fi
}
digest() { drive ls | awk -v n="$1" '$1 == n {print $2}'; }
names() { drive ls | cut -d' ' -f1 | paste -sd' '; }
blobs() { find "$data/images/blobs" -type f | wc -l; }
layers() { find "$data/images/layers" -mindepth 1 -maxdepth 1 | wc -l; }
# Change a bit of the file in place, so that nothing but its content changes.
flip() {
    local size time
    size=$(stat -c %s "$1") time=$(stat -c %y "$1")
    printf 'X' | dd of="$1" bs=1 seek=$((size / 2)) conv=notrunc status=none
    touch -d "$time" "$1"
}

redis=docker.io/demo/redis:1 busybox=docker.io/demo/busybox:1 torture=docker.io/demo/torture:1

# --- names ---
drive load "$images/redis.tar" >/dev/null || fail "redis is loaded"
id=$(digest $redis)
succeeds "a further name" tag demo/redis:1 other/redis:2
is "stands for the same" "$(digest docker.io/other/redis:2)" "$id"
succeeds "a name by the first digits of the digest" tag "${id:7:12}" third
is "stands for the same too" "$(digest docker.io/library/third:latest)" "$id"
refuses "digits that nothing begins with" "is not on this machine" tag ffffffffff x:1
refuses "a name with a digest" "a new name has a tag" tag demo/redis:1 "x@$id"
succeeds "one of several names goes" rm third
succeeds "and by digest all" rm "${id:7:10}"
is "nothing is listed" "$(names)" ""
is "nothing is left" "$(blobs) blobs, $(layers) layers" "0 blobs, 0 layers"

# --- archives ---
for i in redis busybox torture; do drive load "$images/$i.tar" >/dev/null || fail "$i is loaded"; done
drive tag demo/redis:1 again:2 >/dev/null
before=$(drive ls)
succeeds "several images are saved" save "$dir/all.tar" demo/redis:1 demo/torture:1 again:2
drive save "$dir/all2.tar" demo/redis:1 demo/torture:1 again:2 >/dev/null
is "the same images give the same bytes" "$(sha256sum <"$dir/all.tar")" "$(sha256sum <"$dir/all2.tar")"
is "nobody holds them afterwards" "$(drive prune all dry | grep -c docker.io)" 3
if command -v skopeo >/dev/null; then
    is "skopeo reads it as an OCI archive" "$(skopeo inspect --raw "oci-archive:$dir/all.tar:$redis" |
        sha256sum | cut -d' ' -f1)" "$(digest $redis | cut -d: -f2)"
    is "and as docker's" "$(skopeo inspect "docker-archive:$dir/all.tar:demo/torture:1" --format '{{len .Layers}}')" \
        "$(drive layers demo/torture:1 | wc -l)"
    if skopeo copy --insecure-policy --preserve-digests -q "oci-archive:$dir/all.tar:$torture" "oci:$dir/copy:t" 2>"$dir/err"; then
        is "a copy by skopeo keeps its digest" \
            "$(jq -r '.manifests[0].digest' "$dir/copy/index.json")" "$(digest $torture)"
    else
        fail "a copy by skopeo" "$(cat "$dir/err")"
    fi
else
    fail "skopeo is installed"
fi
drive rm demo/redis:1 >/dev/null && drive rm again:2 >/dev/null && drive rm demo/torture:1 >/dev/null
succeeds "it is loaded here again" load "$dir/all.tar"
is "with the same names and digests" "$(drive ls)" "$before"

# --- what is collected ---
id=$(digest $redis)
drive rm again:2 >/dev/null
drive tag demo/busybox:1 docker.io/library/cached:1 >/dev/null
succeeds "a service's need is noted" keep "docker.io/demo/redis:1"
succeeds "a container's too" hold t1 "$(digest $torture)"
is "without --all nothing with a name goes" "$(drive prune | head -1)" "0 bytes"
is "with it what nobody needs" "$(drive prune all dry | grep -v bytes)" $busybox
[ "$(drive prune all | awk '/bytes/ {print $1}')" -gt 0 ] && ok "and says what that gave" || fail "and says what that gave"
is "the others stay" "$(names)" "$redis $torture"
refuses "an image under a container stays" "is used by container t1" rm demo/torture:1
drive keep >/dev/null
is "what is needed no more may go" "$(drive prune all | grep -v bytes)" $redis
drive load "$images/redis.tar" >/dev/null
drive keep "$id" >/dev/null
drive load "$images/busybox.tar" demo/redis:1 >/dev/null
is "an image that lost its name stays while a service needs its digest" \
    "$(drive prune all | grep -c "$id"), $(drive ls | grep -c "^ $id")" "0, 1"
drive keep >/dev/null
is "and goes when none does" "$(drive ls | grep -c "$id")" 0
succeeds "an image that no container is made from any more" release t1
drive prune all >/dev/null
is "goes as well" "$(names), $(blobs) blobs, $(layers) layers" ", 0 blobs, 0 layers"

# --- damage ---
drive load "$images/redis.tar" >/dev/null
is "what is whole is found whole" "$(drive check | tail -1)" "1 images, $(blobs) blobs, $(layers) layers"
file=$(drive layers demo/redis:1 | tail -1)/usr/bin/redis-server
[ -f "$file" ] || file=$(find "$(drive layers demo/redis:1 | tail -1)" -type f -size +20k | head -1)
flip "$file"
refuses "a changed byte in a layer is found" "it is not what was unpacked" check
refuses "and the image is not run" "is damaged" layers demo/redis:1
succeeds "it is healed from its blobs" check repair
succeeds "and whole" check
succeeds "and runs again" layers demo/redis:1
file=$(find "$(drive layers demo/redis:1 | tail -1)" -type f -size +20k | head -1)
drive hold t2 "$id" >/dev/null
chmod u+s "$file"
refuses "a changed mode is found, and who runs on it" "used by t2" check
drive load "$images/redis.tar" >/dev/null
succeeds "the next load heals it" check
[ -u "$file" ] && ok "the folder under the container stays" || fail "the folder under the container stays"
succeeds "until that is gone" release t2
[ -e "$file" ] && fail "then it goes" || ok "then it goes"
folder=$(drive layers demo/redis:1 | tail -1)
rm -r "$folder"
refuses "a lost layer is found" "missing" check
drive load "$images/redis.tar" >/dev/null
succeeds "and healed" check
blob=$(find "$data/images/blobs" -type f -size +1M | head -1)
flip "$blob"
refuses "a changed byte in a blob is found" "damaged, deleted" check
succeeds "the image still runs" layers demo/redis:1
refuses "but cannot be saved" "is missing here" save "$dir/x.tar" demo/redis:1
refuses "nor repaired where there is no registry" "not repaired" check repair
drive load "$images/redis.tar" >/dev/null
succeeds "until it is loaded again" check

echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
