#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one tool pushed another pulls, with the same digests: Wherry and skopeo; images of several
# platforms; and registries that push back.
# usage: tests/e2e/registry_push.sh [IMAGEDRIVER [PROGRAM-DIR [IMAGES-DIR]]]
here=$(realpath "$0")
. "$(dirname "$0")/registries/common.sh"

make_certificates
mapfile -t tls < <(tls_lines)
mapfile -t htpasswd < <(htpasswd_lines)
mapfile -t tokens < <(token_lines)
registry 127.0.0.1:5000
registry registry.test:5443 "${tls[@]}" "${htpasswd[@]}"
registry tokens.test:5444 "${tls[@]}" "${tokens[@]}"
token_server 5445
stub 5450 "$images/busybox.tar"
until_up 5000 5443 5444 5445 5450
plain=127.0.0.1:5000 private=registry.test:5443 tokens=tokens.test:5444 stub=127.0.0.1:5450
for name in $private $tokens; do
    access $name ca "$(cat "$dir/ca.pem")"
    credentials $name u pass
done
# skopeo trusts our CA by a folder, and has the password in a file.
mkdir "$dir/certs" && cp "$dir/ca.pem" "$dir/certs/ca.crt"
printf '{"auths":{"%s":{"auth":"%s"}}}' $private "$(printf u:pass | base64)" >"$dir/auth.json"
sk() { skopeo --command-timeout 60s "$@"; }
digest_there() { sk inspect --raw "${@:2}" "docker://$1" | sha256sum | sed 's/^/sha256:/; s/ .*//'; }
blobs_put() { grep -c 'PUT /v2/.*/blobs/' "$1"; }

# --- pushed by skopeo, pulled by us ---
sk copy -q --dest-tls-verify=false "oci-archive:$images/redis.tar" docker://$plain/team/redis:1
digest=$(digest_of "$images/redis.tar")
succeeds "what skopeo pushed is pulled" pull $plain/team/redis:1
is "with its digest" "$(drive ls)" "$plain/team/redis:1 $digest"
PROGRESS=$dir/progress drive pull $stub/slow/app:1
is "the progress tells layers, bytes and speed" "$(grep -cE \
    ': [0-9]+ of [0-9]+ layers, [0-9.]+ of [0-9.]+ MB, [0-9.]+ MB/s$' "$dir/progress")" 1
sk copy -q --format v2s2 --dest-tls-verify=false "oci-archive:$images/busybox.tar" \
    docker://$plain/team/schema2:1
schema2=$(digest_there $plain/team/schema2:1 --tls-verify=false)
succeeds "Docker's schema 2 as well" pull $plain/team/schema2:1
is "with its digest, too" "$(drive ls | grep schema2)" "$plain/team/schema2:1 $schema2"

# --- pushed by us, pulled by skopeo ---
drive tag $plain/team/redis:1 $private/other/redis:2 >/dev/null
credentials $private
refuses "a push needs credentials" "wherry registry login" push $private/other/redis:2
credentials $private u pass
succeeds "an image is pushed over TLS with a password" push $private/other/redis:2
is "it has the same digest there" \
    "$(digest_there $private/other/redis:2 --cert-dir "$dir/certs" --authfile "$dir/auth.json")" "$digest"
if out=$(sk copy -q --src-cert-dir "$dir/certs" --src-authfile "$dir/auth.json" \
    docker://$private/other/redis:2 "oci-archive:$dir/back.tar" 2>&1); then
    ok "skopeo pulls it"
else
    fail "skopeo pulls it" "$out"
fi
is "and gets the same bits" "$(digest_of "$dir/back.tar")" "$digest"
before=$(blobs_put "$dir/5443.log")
succeeds "it is pushed again" push $private/other/redis:2
is "nothing is sent again" "$(blobs_put "$dir/5443.log")" "$before"
drive tag $private/other/redis:2 $private/third/redis:1 >/dev/null
succeeds "into another repository of the registry" push $private/third/redis:1
is "its blobs are mounted" "$(blobs_put "$dir/5443.log") $(grep -c 'POST .*mount=.* 201 ' "$dir/5443.log")" \
    "$before $(($(tar -xOf "$images/redis.tar" "blobs/sha256/${digest#sha256:}" | jq '.layers | length') + 1))"
drive tag $plain/team/schema2:1 $tokens/team/schema2:2 >/dev/null
succeeds "with a token" push $tokens/team/schema2:2
is "that is for pulling and pushing" "$(grep -c '^GET u repository:team/schema2:pull,push' "$dir/tokens.log")" 1
is "schema 2 keeps its bytes and type" "$(digest_there $plain/team/schema2:2 --tls-verify=false) \
$(sk inspect --raw --tls-verify=false docker://$plain/team/schema2:2 | jq -r .mediaType)" \
    "$schema2 application/vnd.docker.distribution.manifest.v2+json"
refuses "what is not here is not pushed" "gone" push $plain/gone:1

# --- several platforms ---
host=$(dpkg --print-architecture)
# other ARCHITECTURE VARIANT: an image for another machine, as :ARCHITECTURE[VARIANT]
other() {
    local layout=$dir/layout.$1$2
    mkdir "$layout" && tar -xf "$images/busybox.tar" -C "$layout"
    local old config new
    old=$(jq -r '.manifests[0].digest' "$layout/index.json")
    config=$(jq -r .config.digest "$layout/blobs/sha256/${old#*:}")
    jq -c --arg a "$1" --arg v "$2" '.architecture = $a | .variant = $v' \
        "$layout/blobs/sha256/${config#*:}" >"$layout/config"
    new=$(sha256sum "$layout/config" | cut -d' ' -f1)
    jq -c --arg d "sha256:$new" --argjson s "$(stat -c %s "$layout/config")" \
        '.config.digest = $d | .config.size = $s' "$layout/blobs/sha256/${old#*:}" >"$layout/manifest"
    mv "$layout/config" "$layout/blobs/sha256/$new"
    old=$(sha256sum "$layout/manifest" | cut -d' ' -f1)
    jq -c --arg d "sha256:$old" --argjson s "$(stat -c %s "$layout/manifest")" \
        '.manifests[0].digest = $d | .manifests[0].size = $s' "$layout/index.json" >"$layout/index"
    mv "$layout/manifest" "$layout/blobs/sha256/$old"
    mv "$layout/index" "$layout/index.json"
    sk copy -q --dest-tls-verify=false "oci:$layout" "docker://$plain/multi:$1$2"
    jq -cn --arg d "sha256:$old" --arg a "$1" --arg v "$2" \
        --argjson s "$(stat -c %s "$layout/blobs/sha256/$old")" \
        '{mediaType:"application/vnd.oci.image.manifest.v1+json",digest:$d,size:$s,
          platform:{os:"linux",architecture:$a,variant:$v}}' >"$dir/entry.$1$2"
}
other arm v6
other arm v7
other "$host" ''
jq -c '.platform = {os: "unknown", architecture: "unknown"}' "$dir/entry.armv6" >"$dir/entry.attestation"
jq -cs '{schemaVersion:2,mediaType:"application/vnd.oci.image.index.v1+json",manifests:.}' \
    "$dir/entry.attestation" "$dir/entry.armv6" "$dir/entry.armv7" "$dir/entry.$host" >"$dir/index"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
    --data-binary @"$dir/index" "http://$plain/v2/multi/manifests/1" || fail "put an index"
index=sha256:$(sha256sum "$dir/index" | cut -d' ' -f1)
entry() { jq -r .digest "$dir/entry.$1"; }
is "a tag stands for the index" "$(drive resolve $plain/multi:1)" "$index"
succeeds "this machine's is chosen" pull "$plain/multi:1@$index"
is "under the index's digest" "$(drive ls | grep multi)" "$plain/multi@$index $(entry "$host")"
is "by which it is found" "$(drive layers "$plain/multi@$index" | wc -l) \
$(drive layers "$plain/multi:1@$index" | wc -l)" "1 1"
PLATFORM=linux/arm/v7 succeeds "another is named" pull $plain/multi:1
is "then that is listed" "$(drive ls | grep multi:1)" "$plain/multi:1 $(entry armv7)"
PLATFORM=linux/arm/v8 succeeds "a newer machine takes an older variant" pull $plain/multi:1
is "the newest of them" "$(drive ls | grep multi:1)" "$plain/multi:1 $(entry armv7)"
PLATFORM=linux/arm/v6 drive pull $plain/multi:1
is "an older machine not the newer" "$(drive ls | grep multi:1)" "$plain/multi:1 $(entry armv6)"
PLATFORM=linux/s390x refuses "what is not in it is said" "no image for linux/s390x" pull $plain/multi:1
PLATFORM=linux refuses "a platform has two parts" "OS/ARCHITECTURE" pull $plain/multi:1
refuses "without an index another machine's is refused" "wanted is linux/$host" pull $plain/multi:armv7
refuses "indexes of indexes end" "nested too deep" pull $stub/deepindex/app:1

# --- registries that push back ---
push_to() { drive tag $plain/team/redis:1 "$stub/$1/app:1" >/dev/null; }
push_to pushcut
succeeds "an upload that breaks is begun anew" push $stub/pushcut/app:1
is "in a new place" "$(($(grep -c 'POST /v2/pushcut' "$dir/5450.log") > 2))" 1
push_to pushlie
refuses "a registry that stored something else" "stored something else" push $stub/pushlie/app:1
push_to pushdenied
refuses "one that may only be read" "read-only" push $stub/pushdenied/app:1
push_to pushnowhere
refuses "one that does not say where" "does not say where a blob goes" push $stub/pushnowhere/app:1
credentials $stub u geheim
push_to pushaway
succeeds "one that has blobs put elsewhere" push $stub/pushaway/app:1
is "they go without credentials" "$(grep -c 'PUT /put/pushaway.* auth' "$dir/5450.log")" 0
blob=$(find "$data/images/blobs/sha256" -size +100k | head -1)
drive tag $plain/team/redis:1 $plain/hurt:1 >/dev/null
truncate -s -1 "$blob"
refuses "a damaged blob is not pushed" "is missing here" push $plain/hurt:1
finish
