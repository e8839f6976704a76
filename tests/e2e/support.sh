#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# wherry support: what helps somebody to help, without what nobody else may have.
. "$(dirname "$0")/lib.sh"

begin support 2
load busybox 1 2
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    environment: {PASSWORD: hunter2, EMPTY: ""}
    secrets: [key]
secrets: {key: {environment: KEY}}
YAML
)
KEY=geheim w 1 deploy -f "$file" >/dev/null
token=$(w 1 token create -q --ttl 1h 2>/dev/null | tail -1)
test_case "an archive" w 1 support "$LAB_RUN/s.tar"
mkdir "$LAB_RUN/out"
tar -xf "$LAB_RUN/s.tar" -C "$LAB_RUN/out"
got=$LAB_RUN/out/wherry-support
has() { local f; for f; do [ -s "$got/$f" ] || { echo "no $f"; return 1; }; done; }
test_case "of the cluster" has cluster.status.json service.list.json task.list.json node.list.json events.json service.why.json
test_case "of each member" has n1-volume.list.json n2-volume.list.json n2-network.status.json n2-image.list.json
test_case "of the machine" has machine-os-release.txt machine-meminfo.txt
json() { local f; for f in "$got"/*.list.json "$got"/cluster.*.json; do jq -e . "$f" >/dev/null || return 1; done; jq -s -e 'length > 3' "$got/events.json" >/dev/null; }
test_case "as JSON" json
test_case "with the names of variables" grep -q '"PASSWORD=\*\*\*"' "$got/service.list.json"
none() { ! grep -rqE "hunter2|geheim|PRIVATE KEY|${token#wherry1-c-}" "$got"; }
test_case "without their values, secrets, keys and tokens" none
test_case "no file is written over" says "give another name" w 1 support "$LAB_RUN/s.tar"
test_case "for nobody else to read" [ "$(stat -c %a "$LAB_RUN/s.tar")" = 600 ]
daemon_kill 2
test_case "without a quorum, too" w 1 support --force "$LAB_RUN/s.tar"
rm -rf "$LAB_RUN/out" && mkdir "$LAB_RUN/out" && tar -xf "$LAB_RUN/s.tar" -C "$LAB_RUN/out"
test_case "with what the member knows" has cluster.status.json task.list.json
finish
