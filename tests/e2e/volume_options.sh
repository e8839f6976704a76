#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Volumes of services: what the image has in them, parts of them, what is mounted there, external ones.
. "$(dirname "$0")/lib.sh"
begin volopts 2
load nginx 1 2
load busybox 1 2
mkdir -p "$LAB_RUN/share"
echo shared >"$LAB_RUN/share/file"

file=$(compose app <<YAML
name: app
services:
  filled:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["etc:/etc", {type: volume, source: empty, target: /usr, volume: {nocopy: true}}]
  part:
    image: demo/busybox:1
    command: [sh, -c, "echo inside >/part/file; sleep 100000"]
    stop_grace_period: 0s
    volumes: [{type: volume, source: whole, target: /part, volume: {subpath: a/b}}]
    deploy: {placement: {constraints: [node.hostname == n1]}}
  whole:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["whole:/whole"]
  memory:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["memory:/m", "folder:/f"]
    deploy: {mode: global}
volumes:
  etc: {labels: {what: etc}}
  empty:
  whole:
  memory: {driver_opts: {type: tmpfs, o: "size=1m,mode=0700"}}
  folder: {driver_opts: {type: none, device: $LAB_RUN/share, o: bind}}
YAML
)
deploys() { w 1 deploy -f "$file" >/dev/null; }
filled() {
    w 1 exec app.filled test -s /etc/passwd || return 1
    w 1 exec app.filled sh -c '[ -z "$(ls /usr)" ]' || return 1
    # What is there is left alone from then on.
    w 1 exec app.filled sh -c 'rm /etc/passwd; echo mine >/etc/mine' || return 1
    w 1 restart app.filled >/dev/null || return 1
    wait_for 20 "the new one" running_is 1 app.filled 1 || return 1
    w 1 exec app.filled sh -c '[ ! -e /etc/passwd ] && [ "$(cat /etc/mine)" = mine ]'
}
in_part() { [ "$(w 1 exec app.whole cat /whole/a/b/file)" = inside ]; }
in_memory() {
    w 1 exec app.memory sh -c 'grep -q "^wherry\|tmpfs.* /m tmpfs.*size=1024k" /proc/mounts' || return 1
    [ "$(w 1 exec app.memory stat -c %a /m)" = 700 ]
}
in_folder() { [ "$(w 1 exec app.memory cat /f/file)" = shared ]; }
not_by_all() { # a deployer may not mount what he likes
    local token
    token=$(w 1 token create --role deployer --json | jq -r '.[0].token')
    says "only an admin" env WHERRY_TOKEN="$token" "$WHERRY" -H "$PREFIX.1" deploy -f "$file"
}
external() {
    says "an external one is made with 'wherry volume create'" w 1 deploy -f "$ext" || return 1
    w 1 volume create --node n2 kept >/dev/null || return 1
    w 1 deploy -f "$ext" >/dev/null || return 1
    [ "$(tasks 1 ext | jq -r '.[0].node')" = n2 ]
}
removed() {
    w 1 rm ext >/dev/null && w 1 rm app >/dev/null || return 1
    w 1 volume rm --node n2 kept >/dev/null || return 1
    says "does not exist" w 1 deploy -f "$ext" || return 1
    for n in 1 2; do
        w 1 volume ls -q --node n$n | while read -r v; do w 1 volume rm --node n$n "$v" >/dev/null || exit 1; done || return 1
    done
    [ "$(cat "$LAB_RUN/share/file")" = shared ]
}
ext=$(compose ext <<'YAML'
name: ext
services:
  one:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["data:/d"]
volumes: {data: {external: true, name: kept}}
YAML
)

test_case "they are deployed" deploys
test_case "an empty one has what the image has, once, unless nocopy" filled
test_case "a part of one" in_part
test_case "one in memory, on every member" in_memory
test_case "a folder of the machine" in_folder
test_case "which takes an admin" not_by_all
test_case "one made by hand is external, and its tasks go to it" external
test_case "what is mounted survives their removal" removed
finish
