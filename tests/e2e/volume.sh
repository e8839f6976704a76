#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Volumes of a machine: whose they are, who uses them, what may be deleted.
. "$(dirname "$0")/lib.sh"

begin volume 1
load busybox 1
image=demo/busybox:1
v() { w 1 volume "$@"; }
c() { w 1 container "$@"; }
is() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
of() { v inspect "$1" | jq -r ".[0]$2"; }

test_case "create" is "$(v create data)" data
test_case "a container's name is none" says "no name for a volume" v create c-web-0
test_case "a container writes to it" c run --rm -v data:/d $image sh -c 'dd if=/dev/zero of=/d/x bs=1M count=3 2>/dev/null'
test_case "and another reads it" is "$(c run --rm -v data:/d:ro $image sh -c 'wc -c </d/x; touch /d/y 2>/dev/null || echo ro')" $'3145728\nro'
test_case "its size" eval '[ "$(of data .size_bytes)" -ge 3145728 ]'
test_case "a snapshot of it takes another file system" says "snapshots take XFS or btrfs" v snapshot create data
test_case "a size takes one with quotas" says "has no project quotas" v create -o size=10m small
test_case "which leaves none" [ "$(v ls -q | grep -c small)" = 0 ]
c create --name user -v data:/d -v /anonymous $image true >/dev/null
test_case "who uses it, running or not" is "$(of data '.users | join(",")')" c-user
test_case "one in use stays" says "used by container c-user" v rm data
test_case "an anonymous one is the container's" is "$(v ls --json | jq -r '.[] | select(.anonymous) | .users[0]')" c-user
test_case "prune takes none in use" is "$(v prune --all -q)" ""
test_case "rm of the container" c rm user
test_case "takes the anonymous one" is "$(v ls -q)" data
test_case "what is not there" says "no volume 'nothing'" v rm nothing

file=$(compose shop <<'YAML'
name: shop
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    volumes: ["store:/s"]
volumes: {store: {}}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
wait_for 20 "web" running_is 1 shop.web 1
test_case "a stack's: whose, its home, its services" is "$(of shop_store '| "\(.stack) \(.home) \(.services[0])"')" "shop true shop.web"
test_case "it is used by its task" says "used by container t" v rm --force shop_store
test_case "prune --all takes what is unused only" is "$(v prune --all --dry-run -q)" data
test_case "a dry run deletes nothing" is "$(v ls -q)" $'data\nshop_store'
w 1 scale shop.web=0 >/dev/null 2>&1 || w 1 scale shop.web 0 >/dev/null
wait_for 15 "no task" eval '[ -z "$(of shop_store .users[0] | grep -v null)" ]'
test_case "a service's data stays" says "data of service shop.web" v rm shop_store
test_case "prune --all leaves it" is "$(v prune --all -q)" data
test_case "--force deletes it" v rm --force shop_store
test_case "nothing is left" is "$(v ls -q)" ""

finish
