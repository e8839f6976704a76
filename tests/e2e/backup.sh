#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A backup of a running cluster, and a new cluster made of it.
. "$(dirname "$0")/lib.sh"
begin backup 3


B=$LAB_RUN/b
load busybox 1 2 3
file=$(compose shop <<'YAML'
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "1000000"]
    deploy: {replicas: 2}
    ports: ["8090:80"]
  keep:
    image: demo/busybox:1
    command: ["sh", "-c", "[ -e /data/first ] || hostname >/data/first; sleep 1000000"]
    volumes: ["data:/data"]
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
volumes:
  data: {}
YAML
)

w 1 deploy -f "$file" --detach >/dev/null || { w 1 ps shop; exit 1; }
wait_for 60 "the app" running_is 1 shop 3 || { w 1 ps shop; exit 1; }

# --- backup ---------------------------------------------------------------------------------------

backup() { w 3 backup "$B"; }
test_case "a follower writes a backup" backup
test_case "it is checked without a daemon" "$WHERRY" backup --verify "$B"
test_case "inspect shows stacks, volumes and their homes" eval '"$WHERRY" backup inspect "$B" | grep -qE "shop_data +n2"'
counts() { [ "$("$WHERRY" backup inspect "$B" --json | jq -r '.[0] | "\(.services) \(.stacks[0].name) \(.members | length)"')" = "2 shop 3" ]; }
test_case "counts are right" counts
test_case "an existing file is not replaced" says "exists" w 1 backup "$B"
test_case "but with --force" w 1 backup --force "$B"
private() { [ "$(stat -c %a "$B")" = 600 ] && ! ls "$B".part-* 2>/dev/null; }
test_case "only its owner may read it, nothing else is left" private
remote() {
    local token
    token=$(w 1 token create -q) || return 1
    in_host 3 "$WHERRY" backup -H "$PREFIX.2" --token "$token" - >"$B.remote" || return 1
    "$WHERRY" backup --verify "$B.remote"
}
test_case "a member of another machine gives one through TLS" remote
test_case "what is no backup is said" says "not a backup" "$WHERRY" backup --verify /etc/passwd
damaged() {
    cp "$B" "$B.bad" && printf x | dd of="$B.bad" bs=1 seek=5000 conv=notrunc 2>/dev/null
    says "does not match its checksum" "$WHERRY" backup inspect "$B.bad"
}
test_case "nor what is damaged" damaged

# --- restore --------------------------------------------------------------------------------------

first() { find "$LAB_DATA/$1/volumes" -name first -exec cat {} + 2>/dev/null; }
wait_for 30 "the volume's file" test -n "$(first 2)"
marker=$(first 2)
keep_pids=$(pids_in 2 "t$(tasks 1 shop | jq -r '.[] | select(.name == "shop.keep.1") | .id')")
test_case "a member restores nothing" says "is a member of cluster" w 1 restore "$B"
# All members are lost but for their volumes.
for n in 1 2 3; do
    daemon_stop $n
    rm -rf "$LAB_DATA/$n/identity" "$LAB_DATA/$n/raft"
done
daemon_start 2
test_case "a damaged backup is refused" says "does not match" w 2 restore "$B.bad"
test_case "a dry run says what would be" eval 'w 2 restore --dry-run "$B" | grep -q "1 stack with 2 services"'
dry() { [ "$(w 2 status --json | jq -r '.[0].cluster')" = "" ] && [ ! -e "$LAB_DATA/2/raft" ]; }
test_case "and does nothing" dry
restore() { w 2 restore --json "$B" >"$B.json"; }
test_case "a machine that is no member founds a new cluster from it" restore
test_case "its services run" wait_for 60 "the app" running_is 2 shop 3
home() { [ "$(jq -r '.[0].homes_here' "$B.json")" = 1 ] && [ "$(first 2)" = "$marker" ]; }
test_case "the volume is found again on the machine of its name" home
gone() { ! ls "$LAB_DATA/2/raft.restored" "$LAB_DATA"/2/upload/* 2>/dev/null; }
test_case "nothing is left behind" gone
other() { [ "$(jq -r '.[0].cluster' "$B.json")" != "$(jq -r '.[0].from' "$B.json")" ]; }
test_case "it is another cluster" other
join() {
    daemon_start 1
    w 1 join "$PREFIX.2:7400" --token "$(jq -r '.[0].join_token' "$B.json")" &&
        wait_for 30 "two members" members_up 2 2
}
test_case "machines join it" join
old_gone() { [ -n "$keep_pids" ] && [ -z "$(for p in $keep_pids; do [ -e "/proc/$p" ] && echo "$p"; done)" ]; }
test_case "the old cluster's containers end" wait_for 30 "their end" old_gone
daemon_kill 2
daemon_start 2
test_case "it survives a crash" wait_for 60 "the app" running_is 2 shop 3
finish
