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
    command: ["sleep", "1000000"]
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
finish
