#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images from a real registry on another machine, over plain HTTP.
. "$(dirname "$0")/lib.sh"

begin registry 0
registry=$PREFIX.254:5077
mkdir -p "$LAB_RUN/store"
cat >"$LAB_RUN/registry.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $LAB_RUN/store}}
http: {addr: $registry}
log: {level: error}
YAML
docker-registry serve "$LAB_RUN/registry.yaml" >"$LAB_RUN/registry.log" 2>&1 &
registry_pid=$!
trap 'kill $registry_pid; finish' EXIT
wait_for 10 "registry" curl -fsS "http://$registry/v2/"

# push ARCHIVE NAME: with the registry's own protocol, from an OCI archive
push() {
    local dir=$LAB_RUN/push blob digest location
    rm -rf "$dir" && mkdir -p "$dir" && tar -C "$dir" -xf "$1"
    for blob in "$dir"/blobs/sha256/*; do
        digest=sha256:$(basename "$blob")
        location=$(curl -fsS -X POST -D - -o /dev/null "http://$registry/v2/$2/blobs/uploads/" |
            tr -d '\r' | awk 'tolower($1) == "location:" {print $2}')
        curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$blob" \
            "$location&digest=$digest" || return 1
    done
    digest=$(jq -r '.manifests[0].digest' "$dir/index.json")
    curl -fsS -X PUT -H "Content-Type: $(jq -r '.manifests[0].mediaType' "$dir/index.json")" \
        --data-binary "@$dir/blobs/sha256/${digest#sha256:}" "http://$registry/v2/$2/manifests/1"
}

host_up 1 --plain-http "$registry"
host_up 2 --plain-http "$registry"
host_up 3
cluster_form 1 2 3
test_case "push" push "$images/busybox.tar" team/app
test_case "push another" push "$images/redis.tar" team/other # that no member gets
load busybox 1
test_case "an image gets the registry's name" w 1 image tag demo/busybox:1 "$registry/mine/app:1"
test_case "and is pushed by the command" w 1 image push "$registry/mine/app:1"
test_case "the registry has the same bits" \
    [ "$(w 1 image ls --json | jq -r '.[] | select(.name | endswith("mine/app:1")) | .digest')" = \
    "sha256:$(curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
        "http://$registry/v2/mine/app/manifests/1" | sha256sum | cut -d' ' -f1)" ]
w 1 image rm "$registry/mine/app:1" demo/busybox:1 >/dev/null
test_case "what is not there is not pushed" says 'mine/app' w 2 image push "$registry/mine/app:1"
file=$(compose app <<YAML
name: app
services:
  web:
    image: $registry/team/app:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 2, placement: {constraints: ["node.hostname != n3"]}}
YAML
)
test_case "a deploy pulls what it needs" w 3 deploy -f "$file"
test_case "the image is listed" grep -q "$registry/team/app:1" <(w 1 image ls)
test_case "a registry that was not named is not spoken to" says 'plain HTTP' w 3 image pull "$registry/team/other:1"
test_case "named with the pull it is" w 3 image pull --plain-http "$registry" "$registry/team/other:1"
test_case "an image that is not there" says 'no/such' w 1 image pull "$registry/no/such:1"
test_case "an image in use is not removed" says 'use' w 1 image rm "$registry/team/app:1"
w 1 rm app >/dev/null
test_case "afterwards it is" w 1 image rm "$registry/team/app:1"
test_case "and is gone" not grep -q team/app <(w 1 image ls)
kill $registry_pid
finish
