#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images go from member to member: without any registry, and with one that gives one copy.
. "$(dirname "$0")/lib.sh"

begin blobs 0
registry=$PREFIX.254:5078
trap 'registry_stop; finish' EXIT
for n in 1 2 3; do host_up $n --plain-http "$registry"; done
cluster_form 1 2 3

service() { # service NAME IMAGE REPLICAS [LINE]: a Compose file; prints its path
    compose "$1" <<YAML
name: $1
services:
  web:
    image: $2
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    ${4:-}
    deploy: {replicas: $3, placement: {max_replicas_per_node: 1}}
YAML
}
has() { w "$1" image ls | grep -q "$2"; } # has HOST IMAGE
drop() { # drop HOST IMAGE: by all its names, once nothing uses it
    local name
    for name in $(w "$1" image ls --json | jq -r '.[].name' | grep "${2%:*}[@:]"); do
        w "$1" image rm "$name" >/dev/null 2>&1
    done
    ! has "$1" "${2%:*}[@:]"
}

# --- no registry at all ---
load busybox 1
test_case "an image that one member has runs on all" w 1 deploy -f "$(service load demo/busybox:1 3)"
test_case "three replicas run" running_is 1 load.web 3
test_case "and each has the image" eval 'has 2 demo/busybox:1 && has 3 demo/busybox:1'
test_case "an image that nobody has is said" says 'nobody/has' w 2 image pull "$registry/nobody/has:1"

# --- one copy from the registry ---
registry_start "$registry"
noise_push "$registry" team/once 10 10 10 || exit 1
image=$registry/team/once:1
test_case "three members deploy 30 MB at once" w 1 deploy -f "$(service once "$image" 3)"
test_case "all run" running_is 1 once.web 3
one_copy() {
    local gave
    gave=$(registry_gave team/once)
    echo "the registry gave $gave bytes of an image of $noise_bytes"
    [ "$gave" -ge 30000000 ] && [ "$gave" -le $((noise_bytes * 13 / 10)) ]
}
test_case "the registry gave one copy" one_copy

# --- no registry may be asked, though there is one ---
local_image=$registry/team/local:1
test_case "one member has an image that bears a name of the registry" \
    w 1 image load --name "$local_image" "$images/web.tar"
test_case "pull_policy never runs it on all" w 1 deploy -f "$(service never "$local_image" 3 'pull_policy: never')"
test_case "three of it run" running_is 1 never.web 3
test_case "the others have it from that member" eval 'has 2 team/local && has 3 team/local'
test_case "the registry was not asked" not grep -q team/local "$LAB_RUN/registry.log"
test_case "it was asked about others" grep -q team/once "$LAB_RUN/registry.log"

# --- by digest, all of it from members ---
digest=$(w 1 image ls --json | jq -r --arg n "$image" '.[] | select(.name == $n).digest')
w 1 rm once >/dev/null
wait_for 10 "host 2 without the image" drop 2 "$image"
asked=$(wc -l <"$LAB_RUN/registry.log")
test_case "a pull by digest" w 2 image pull "$registry/team/once@$digest"
test_case "does not ask the registry" eval '[ "$(wc -l <"$LAB_RUN/registry.log")" = "$asked" ]'
test_case "and is the same image" grep -q "$digest" <(w 2 image ls --json)

# --- the registry is gone ---
registry_stop
wait_for 10 "host 2 without the image" drop 2 "$image"
test_case "without its registry an image starts where nobody had it" w 1 deploy -f "$(service once "$image" 3)"
test_case "also there" has 2 "$image"
test_case "who has the name asks what it stands for now" says 'refused' w 2 image pull "$image"

# --- an index, bound by its digest ---
oci=application/vnd.oci.image
of_registry() { curl -fsS -H "Accept: $oci.manifest.v1+json" "http://$registry/v2/team/once/manifests/1"; }
push_index() { # as team/once:multi, for this machine and one that there is not; its digest in $index
    of_registry >"$LAB_RUN/manifest" || return
    jq -cn --arg d "sha256:$(sha256sum "$LAB_RUN/manifest" | cut -d' ' -f1)" \
        --argjson s "$(stat -c %s "$LAB_RUN/manifest")" \
        --arg a "$(dpkg --print-architecture)" --arg m $oci.manifest.v1+json --arg i $oci.index.v1+json \
        '{schemaVersion:2,mediaType:$i,manifests:[
          {mediaType:$m,digest:$d,size:$s,platform:{os:"linux",architecture:"pdp11"}},
          {mediaType:$m,digest:$d,size:$s,platform:{os:"linux",architecture:$a}}]}' >"$LAB_RUN/index"
    index=sha256:$(sha256sum "$LAB_RUN/index" | cut -d' ' -f1)
    curl -fsS -X PUT -H "Content-Type: $oci.index.v1+json" --data-binary "@$LAB_RUN/index" \
        "http://$registry/v2/team/once/manifests/multi"
}
w 1 rm once >/dev/null
registry_start "$registry"
multi=$registry/team/once:multi
for n in 1 2 3; do wait_for 10 "host $n without the image" drop $n "$image"; done
push_index || exit 1
test_case "an index runs on one member" w 1 deploy -f "$(service multi "$multi" 1)"
test_case "the service is bound to the index" \
    [ "$(w 1 inspect multi.web --json | jq -r '.[0].spec.image_digest')" = "$registry/team/once@$index" ]
holds() { local n; for n in 1 2 3; do w $n image ls | grep team/once >/dev/null && echo $n; done | paste -sd' '; }
test_case "one member has it" [ "$(holds | wc -w)" = 1 ]
registry_stop
test_case "with the registry gone it runs on the others too" w 1 scale multi.web=3
test_case "three of the index run" running_is 1 multi.web 3
test_case "and all have it" [ "$(holds)" = "1 2 3" ]
finish
