#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# wherry image: every command on a member and, by --node, on another; what services need stays.
. "$(dirname "$0")/lib.sh"
begin images 2
dir=$(mktemp -d /var/tmp/wherry-commands.XXXXXX)

json() { local n=$1; shift; w "$n" image "$@" --json; } # json N COMMAND...
field() { json "$1" inspect "$3" | jq -r ".[0].$2"; }   # field N FIELD IMAGE
names() { w "$1" image ls -q | paste -sd' '; }
shows() { # shows PATTERN COMMAND...: whatever its status
    local want=$1 out
    shift
    out=$("$@" 2>&1)
    grep -q -- "$want" <<<"$out" || { echo "$out"; return 1; }
}
not() { ! "$@"; }
within() { # within SECONDS COMMAND...
    local i
    for i in $(seq $(($1 * 4))); do
        "${@:2}" && return
        sleep 0.25
    done
    return 1
}

load redis 1
load busybox 1
digest=$(field 1 digest demo/redis:1)
test_case "ls shows what is in use" shows 'demo/redis:1 .* no$' w 1 image ls
test_case "-q gives names" [ "$(names 1)" = "docker.io/demo/busybox:1 docker.io/demo/redis:1" ]
test_case "inspect tells the platform" shows '^platform *linux/' w 1 image inspect demo/redis:1
test_case "and each layer" [ "$(json 1 inspect demo/redis:1 | jq '.[0].layers | map(.unpacked_bytes > 0) | all')" = true ]
test_case "history has a line for each layer" \
    [ "$(json 1 history demo/redis:1 | jq '[.[] | select(.layer > 0)] | length')" = "$(json 1 inspect demo/redis:1 | jq '.[0].layers | length')" ]
test_case "tag gives a further name" [ "$(w 1 image tag demo/redis:1 mine:2)" = docker.io/library/mine:2 ]
test_case "by digits too" [ "$(w 1 image tag "${digest:7:12}" mine:3)" = docker.io/library/mine:3 ]
test_case "save to a file" w 1 image save -o "$dir/a.tar" mine:2 demo/busybox:1
test_case "which is not replaced" not w 1 image save -o "$dir/a.tar" mine:2
test_case "save to standard output, the same" cmp "$dir/a.tar" <(w 1 image save mine:2 demo/busybox:1)
test_case "skopeo finds the same digest in it" \
    [ "$(skopeo inspect --raw "oci-archive:$dir/a.tar:docker.io/library/mine:2" | sha256sum | cut -d' ' -f1)" = "${digest#*:}" ]
test_case "another member saves too" not w 2 image save -o "$dir/b.tar" mine:2
test_case "through this one, by --node" w 2 image save --node n1 -o "$dir/b.tar" mine:2 demo/busybox:1
test_case "the same bytes" cmp "$dir/a.tar" "$dir/b.tar"
test_case "nothing is left of a save that failed" [ "$(ls "$dir")" = "a.tar
b.tar" ]
test_case "the archive loads elsewhere" w 2 image load "$dir/a.tar"
test_case "with its digest" [ "$(field 2 digest mine:2)" = "$digest" ]
test_case "--node asks another member" shows 'mine:3' w 2 image ls --node n1
test_case "and tags there" w 2 image tag --node n1 mine:2 there:1
test_case "only there" [ "$(names 1 | grep -c there)$(names 2 | grep -c there)" = 10 ]
test_case "a member that is not there" shows "there is no node 'n9'" w 1 image ls --node n9
test_case "rm prints what went" [ "$(w 2 image rm --node n1 there:1)" = docker.io/library/there:1 ]
test_case "check finds all well" shows 'all is well' w 1 image check
test_case "also over there" shows 'all is well' w 2 image check --node n1

# --- services ---
cat >"$dir/compose.yaml" <<'C'
services:
  db:
    image: demo/redis:1
    deploy: {placement: {constraints: [node.hostname == n1]}}
C
test_case "a service is deployed" w 1 deploy -f "$dir/compose.yaml" app
test_case "its image is in use" shows 'demo/redis:1 .* 1 container' w 1 image ls
w 1 image rm mine:2 mine:3 >/dev/null
test_case "and is not removed" shows 'is used by container' w 1 image rm demo/redis:1
w 1 image prune --all >/dev/null 2>&1
test_case "prune --all takes what nobody needs" [ "$(names 1 | grep -c busybox)" = 0 ]
needed() { [ "$(json 2 ls | jq '[.[] | select(.kept)] | length')" -ge 1 ]; }
load redis 2
test_case "the other member keeps it as well, for it may run there next" within 10 needed
w 2 image prune --all >/dev/null 2>&1
test_case "so prune leaves it there" shows 'demo/redis:1 .* by a service' w 2 image ls
layer=$(find "$LAB_DATA/1/images/layers" -type f -size +50k | head -1)
chmod g+w "$layer"
test_case "damage under a container is said with its name" shows 'containers made from it run on' w 1 image check
test_case "with status 10" [ "$(w 1 image check >/dev/null 2>&1; echo $?)" = 10 ]
test_case "ls shows it" shows 'damaged' w 1 image ls
test_case "the container runs on" running_is 1 app.db 1
test_case "--repair heals it" shows 'repaired' w 1 image check --repair
test_case "for good" shows 'all is well' w 1 image check
test_case "the service goes" w 1 rm app
unneeded() { [ "$(json 2 ls | jq '[.[] | select(.kept)] | length')" = 0 ]; }
test_case "and then its image may" within 15 unneeded
test_case "dry run only tells" shows 'would go' w 2 image prune --all --dry-run
test_case "it is there yet" [ "$(names 2 | grep -c redis)" = 1 ]
test_case "prune shows what it freed" shows 'freed' w 2 image prune --all
test_case "and it is gone" [ "$(names 2)" = "" ]
rm -rf "$dir"
finish
