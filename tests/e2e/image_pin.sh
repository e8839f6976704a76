#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images that were loaded by hand, and no registry at all: a service runs the same bits everywhere,
# also where another image has the name.
. "$(dirname "$0")/lib.sh"

begin image_pin 3

# The same name, other bits: BITS=2 in the environment.
other_bits() {
    local dir=$LAB_RUN/other manifest config
    rm -rf "$dir" && mkdir -p "$dir" && tar -C "$dir" -xf "$images/busybox.tar" || return
    manifest=$dir/blobs/$(jq -r '.manifests[0].digest' "$dir/index.json" | tr : /)
    jq -c '.config.Env += ["BITS=2"]' "$dir/blobs/$(jq -r .config.digest "$manifest" | tr : /)" >"$dir/config"
    config=$(sha256sum "$dir/config" | cut -d' ' -f1)
    jq -c --arg d "sha256:$config" --argjson n "$(stat -c %s "$dir/config")" \
        '.config.digest = $d | .config.size = $n' "$manifest" >"$dir/manifest"
    two=$(sha256sum "$dir/manifest" | cut -d' ' -f1)
    jq -c --arg d "sha256:$two" --argjson n "$(stat -c %s "$dir/manifest")" \
        '.manifests[0].digest = $d | .manifests[0].size = $n' "$dir/index.json" >"$dir/index" &&
        mv "$dir/index" "$dir/index.json" && mv "$dir/config" "$dir/blobs/sha256/$config" &&
        mv "$dir/manifest" "$dir/blobs/sha256/$two" &&
        tar -C "$dir" -cf "$LAB_RUN/other.tar" oci-layout index.json blobs
}
app() { # app REPLICAS [LINE]
    compose app <<YAML
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_signal: SIGKILL
    ${2:-}
    deploy: {replicas: $1, placement: {max_replicas_per_node: 1}}
YAML
}
digest() { w 2 inspect app.web --json | jq -r '.[0].spec.image_digest'; }
bits() { # of all that run: "-" for those of the first archive
    local node id
    tasks 1 app.web | jq -r '.[] | select(.state == "running") | "\(.node) \(.id)"' | while read -r node id; do
        tr '\0' '\n' <"/proc/$(pids_in "${node#n}" "t$id" | head -1)/environ" | sed -n 's/^BITS=//p' | grep . || echo -
    done | sort | paste -sd' '
}
bits_are() { [ "$(bits)" = "$1" ] || { bits; return 1; }; }
level() { [ "$(w 1 status --json | jq '.[0].level')" -ge 3 ]; }

test_case "another archive of the same name" other_bits
test_case "one is loaded on n1" load busybox 1
test_case "the other on n2" w 2 image load --name demo/busybox:1 "$LAB_RUN/other.tar"
wait_for 20 "level 3" level
one=$(tar -xOf "$images/busybox.tar" index.json | jq -r '.manifests[0].digest')
test_case "a deploy through n1" w 1 deploy --detach -f "$(app 3)"
test_case "is bound to what n1 has" [ "$(digest)" = "docker.io/demo/busybox@$one" ]
test_case "which is not what n2 has" [ "$one" != "sha256:$two" ]
test_case "all three run it" wait_for 40 "three tasks" running_is 1 app.web 3
test_case "n2 and n3 too" bits_are "- - -"
test_case "the same through n2 changes nothing" grep -q 'Nothing to do' <(w 2 deploy -f "$(app 3)")
test_case "a plan through n2 neither" grep -q 'No changes' <(w 2 plan -f "$(app 3)")
test_case "with --pull nobody answers, and what is here is used" says 'what the members have under that name is used' \
    eval 'w 2 deploy --pull -f "$(app 3)" && false'
test_case "which on n2 is the other one" bits_are "2 2 2"
test_case "with pull_policy never no registry is asked" not grep -q 'registry' <(w 1 deploy -f "$(app 3 'pull_policy: never')" 2>&1)
unknown() { sed "s|demo/busybox:1|demo/nobody:1|" "$(app 3)" >"$LAB_RUN/projects/app/unknown.yaml"; echo "$LAB_RUN/projects/app/unknown.yaml"; }
test_case "an image that nobody has is warned of" grep -q 'tag not resolved, replicas may differ' \
    <(w 1 deploy --detach -f "$(unknown)" 2>&1)
finish
