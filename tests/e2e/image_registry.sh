#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pulls from a real registry (docker-registry), from one that wants credentials, and from one that
# misbehaves, all in a network namespace of its own.
# usage: tests/e2e/image_registry.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
cd "$(dirname "$0")/../.." || exit 2
driver=$(realpath "${1:-build/release/tests/e2e/imagedriver}")
programs=$(realpath "${2:-build/release/bin}")
images=${3:-build/images}
[ "$(id -u)" = 0 ] || { echo "run it as root: it makes namespaces"; exit 2; }
for program in "$driver" "$programs/wherry-image"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
if [ -z "$WHERRY_REGISTRY_TEST" ]; then
    deploy/demo/images.sh "$images" busybox redis torture || exit 2
    images=$(realpath "$images")
    WHERRY_REGISTRY_TEST=1 exec unshare -n -m "$0" "$driver" "$programs" "$images"
fi
ip link set lo up

dir=$(mktemp -d /var/tmp/wherry-registry.XXXXXX)
data=$dir/data
passed=0 failed=0 servers=()
cleanup() {
    kill "${servers[@]}" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ok() { echo "ok   $1"; passed=$((passed + 1)); }
fail() { echo "FAIL $1${2:+: $2}"; failed=$((failed + 1)); }
is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "got '$2', wanted '$3'"; fi
}
drive() { PLAIN_HTTP=registry.test:5000 "$driver" "$data" "$programs" "$@" 2>&1; }
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

# --- the registries ---
registry() { # registry PORT [CONFIG-LINE...]
    local port=$1
    shift
    {
        printf '%s\n' 'version: 0.1' 'storage: {filesystem: {rootdirectory: '"$dir/registry"'}}' \
            "http: {addr: '127.0.0.1:$port'}" 'log: {level: error}' "$@"
    } >"$dir/$port.yml"
    docker-registry serve "$dir/$port.yml" >"$dir/$port.log" 2>&1 &
    servers+=($!)
}
until_up() { # until_up PORT
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nothing answers on port $1"
    exit 2
}
put_blob() { # put_blob REPOSITORY FILE
    local url
    url=$(curl -sfi -X POST "http://127.0.0.1:5000/v2/$1/blobs/uploads/" |
        tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$2" \
        "$url&digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)" || fail "upload a blob of $1"
}
put_manifest() { # put_manifest REPOSITORY VERSION FILE TYPE
    curl -sf -X PUT -H "Content-Type: $4" --data-binary @"$3" \
        "http://127.0.0.1:5000/v2/$1/manifests/$2" || fail "upload manifest $1:$2"
}
oci=application/vnd.oci.image
push() { # push ARCHIVE REPOSITORY TAG
    local layout=$dir/layout.$RANDOM blob digest
    mkdir "$layout"
    tar -xf "$1" -C "$layout"
    digest=$(jq -r '.manifests[0].digest' "$layout/index.json")
    for blob in "$layout"/blobs/sha256/*; do
        [ "${blob##*/}" = "${digest#sha256:}" ] || put_blob "$2" "$blob"
    done
    put_manifest "$2" "$3" "$layout/blobs/sha256/${digest#sha256:}" $oci.manifest.v1+json
    rm -rf "$layout"
    echo "$digest"
}
gets() { grep -c "GET /v2/.*/blobs/" "$dir/5000.log"; }

registry 5000
registry 5001 'auth: {silly: {realm: test, service: test}}'
until_up 5000
until_up 5001
here=127.0.0.1:5000

# --- what works ---
digest=$(push "$images/torture.tar" team/app 1)
succeeds "an image is pulled by tag" pull $here/team/app:1
is "it is listed with its digest" "$(drive ls)" "$here/team/app:1 $digest"
is "all its layers are there" "$(drive layers $here/team/app:1 | xargs ls -d | wc -l)" 3

# Its layers stacked: what the second took away is gone, what it left alone is as it was.
mkdir "$dir/root"
mount -t overlay overlay -o "ro,lowerdir=$(drive layers $here/team/app:1 | tac | paste -sd:)" "$dir/root"
root=$dir/root
is "whiteouts and opaque folders hide" "$(cd "$root" && ls opq d1/d2 to-folder | xargs)" \
    "d1/d2: kept opq: new to-folder: child"
is "hard links survive a whiteout of one" "$(cat "$root/hardlink2")$(ls "$root/keep/hardlink" 2>&1 | grep -c 'No such')" linked1
is "a file took a folder's place" "$(cat "$root/to-file")" now-a-file
is "modes, owners and sizes are kept" "$(cd "$root" && stat -c %a:%u:%g:%s usr/bin/suid keep/xattr \
    keep/setgid keep/sticky keep/hole tmp | cut -d: -f1-3 | xargs)" \
    "4755:0:0 644:1000:2000 2775:0:0 1777:0:0 644:0:0 1777:0:0"
is "capabilities and xattrs are kept" "$(getcap "$root/usr/bin/capable" | cut -d' ' -f2) \
$(getfattr --only-values -n user.key "$root/keep/xattr" 2>/dev/null)" "cap_net_raw=ep value"
is "holes stay holes" "$(($(stat -c %b "$root/keep/hole") < 100))" 1
is "names are kept" "$(cat "$root/keep/ünïcødé-☃" "$root/keep/$(printf '%0200d' 0)" | xargs)" \
    "unicode long"
umount "$root"

before=$(gets)
succeeds "it is pulled again" pull $here/team/app:1
is "nothing was downloaded again" "$(gets)" "$before"
succeeds "it is pulled by digest" pull "$here/team/app@$digest"
redis=$(push "$images/redis.tar" redis 1)
before=$(gets)
succeeds "three pull the same at once" pull $here/redis:1 $here/redis:1 localhost:5000/redis:1
is "each blob was downloaded once" "$(($(gets) - before))" 2
is "and each layer unpacked once" "$(find "$data/images/layers" -mindepth 1 -maxdepth 1 | wc -l)" 4

# An index: a manifest for this machine among others.
curl -sf -H "Accept: $oci.manifest.v1+json" "http://$here/v2/team/app/manifests/1" >"$dir/manifest"
jq -cn --arg d "$digest" --argjson s "$(stat -c %s "$dir/manifest")" \
    --arg a "$(dpkg --print-architecture)" --arg m $oci.manifest.v1+json \
    '{schemaVersion:2,mediaType:"application/vnd.oci.image.index.v1+json",manifests:[
      {mediaType:$m,digest:$d,size:$s,platform:{os:"linux",architecture:"pdp11"}},
      {mediaType:$m,digest:$d,size:$s,platform:{os:"linux",architecture:$a}}]}' >"$dir/index"
put_manifest team/app multi "$dir/index" $oci.index.v1+json
succeeds "a machine's image is chosen from an index" pull $here/team/app:multi
jq -c '.manifests|=[.[0]]' "$dir/index" >"$dir/index.other"
put_manifest team/app other "$dir/index.other" $oci.index.v1+json
refuses "an index without this machine's is said" "no image for linux/" pull $here/team/app:other

# --- interrupted downloads ---
layer=$(curl -sf -H "Accept: $oci.manifest.v1+json" "http://$here/v2/redis/manifests/1" |
    jq -r '.layers | max_by(.size).digest')
stored=$dir/registry/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer:7}/data
part=$data/images/ingest/pull/${layer:7}.part
forget() { drive rm $here/redis:1; drive rm localhost:5000/redis:1; } >/dev/null
forget
head -c 100000 "$stored" >"$part"
succeeds "a partial download is resumed" pull $here/redis:1
is "with a range request" "$(grep "GET /v2/redis/blobs/$layer" "$dir/5000.log" | grep -c '" 206 ')" 1
drive rm $here/redis:1
head -c 100000 /dev/urandom >"$part"
succeeds "a wrong partial download is fetched anew" pull $here/redis:1
is "nothing is left of it" "$(ls "$data/images/ingest/pull")" ""

# --- what does not ---
refuses "a missing tag is named" "registry $here has no image team/app:nope" pull $here/team/app:nope
refuses "a missing repository too" "registry $here has no image gone:latest" pull $here/gone
refuses "a dead registry is said" "Connection refused" pull 127.0.0.1:5999/app
refuses "a registry that says nonsense about credentials" "names no valid token service" pull 127.0.0.1:5001/team/app:1
refuses "a name that leads nowhere is said" "cannot be resolved" pull registry.test:5000/app
drive rm $here/redis:1
cp "$stored" "$dir/stored"
printf 'x' | dd of="$stored" bs=1 seek=5000 conv=notrunc 2>/dev/null
refuses "a registry's damaged blob is refused" "does not have its digest" pull $here/redis:1
is "and not listed" "$(drive ls | grep -c redis)" 0
cp "$dir/stored" "$stored"
succeeds "and pulled once it is whole" pull $here/redis:1

# --- a registry that misbehaves ---
cat >"$dir/rogue" <<ROGUE
#!/bin/bash
read -r _ path _
range=0
while read -r line && [ "\${line%\$'\r'}" ]; do
    [[ \$line =~ ^[Rr]ange:\ bytes=([0-9]+) ]] && range=\${BASH_REMATCH[1]}
done
to() { printf 'HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "\$1"; }
case \$path in
/v2/tls/*) to https://registry.example/v2/x ;;
/v2/file/*) to file:///etc/passwd ;;
/v2/loop/*) to "\$path" ;;
/v2/huge/*)
    printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'
    yes '[' 2>/dev/null ;;
/v2/junk/*) head -c 300 /dev/urandom ;;
/v2/lie/manifests/*)
    printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"schemaVersion":2,"config":{"digest":'
    printf '"sha256:../../../../etc/passwd","size":3},"layers":[]}' ;;
/v2/cut/manifests/*)
    printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'
    cat "$dir/redis.manifest" ;;
/v2/cut/blobs/*) # at most 3 MB, then the line is cut
    hex=\${path##*:}
    file=$dir/registry/docker/registry/v2/blobs/sha256/\${hex:0:2}/\$hex/data
    size=\$(stat -c %s "\$file")
    printf 'HTTP/1.1 206 Partial\r\nContent-Length: %s\r\nContent-Range: bytes %s-%s/%s\r\nConnection: close\r\n\r\n' \
        \$((size - range)) \$range \$((size - 1)) \$size
    tail -c +\$((range + 1)) "\$file" | head -c 3000000 ;;
/v2/slow/manifests/*)
    printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'
    cat "$dir/redis.manifest" ;;
/v2/slow/blobs/*) # 1 MB, then silence
    hex=\${path##*:}
    file=$dir/registry/docker/registry/v2/blobs/sha256/\${hex:0:2}/\$hex/data
    size=\$(stat -c %s "\$file")
    printf 'HTTP/1.1 200 OK\r\nContent-Length: %s\r\nConnection: close\r\n\r\n' \$size
    head -c 1000000 "\$file"
    [ \$size -le 1000000 ] || sleep 20 ;;
*) printf 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' ;;
esac
ROGUE
chmod +x "$dir/rogue"
curl -sf -H "Accept: $oci.manifest.v1+json" "http://$here/v2/redis/manifests/1" >"$dir/redis.manifest"
busybox nc -ll -p 5002 -e "$dir/rogue" 2>/dev/null &
servers+=($!)
until_up 5002
rogue=127.0.0.1:5002
refuses "where a redirect leads is said" "registry.example" pull $rogue/tls
refuses "a redirect to a file is refused" "redirects to another protocol" pull $rogue/file
refuses "endless redirects end" "redirects more than 5 times" pull $rogue/loop
refuses "an endless manifest ends" "larger than 4194304 bytes" pull $rogue/huge
refuses "junk is no HTTP" "registry $rogue" pull $rogue/junk
refuses "a digest that is a path is refused" "no valid digest" pull $rogue/lie
refuses "a busy registry is said" "status 503" pull $rogue/busy
forget
(drive pull $rogue/slow:1) >/dev/null 2>&1 &
pull=$!
for _ in $(seq 100); do
    parts=$(find "$data/images/ingest/pull" -size +900k)
    [ "$parts" ] && break
    sleep 0.1
done
kill -9 "$(pgrep -f "^$driver $data .* pull $rogue/slow:1")"
wait $pull 2>/dev/null
sleep 0.5
is "no download outlives a killed daemon" "$(pgrep -fc "wherry-image pull $data")" 0
is "what it had is kept" "$(find "$data/images/ingest/pull" -size +900k | wc -l)" 1
succeeds "a cut line is resumed by itself" pull $rogue/cut:1
is "with the same bits" "$(drive ls | grep cut)" "$rogue/cut:1 $redis"

echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" = 0 ]
