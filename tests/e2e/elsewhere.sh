#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A task that keeps failing on one member runs on another; preferences spread tasks over labels;
# generic resources are counted.
. "$(dirname "$0")/lib.sh"

begin elsewhere 3
load busybox 1 2 3
file=$(compose app <<YAML
name: app
services:
  picky:
    image: demo/busybox:1
    extra_hosts: ["node:host-gateway"]
    command: ["sh", "-c", "grep -q '^$PREFIX.2[^0-9]' /etc/hosts && exit 3; exec sleep 100000"]
    stop_grace_period: 0s
    deploy: {replicas: 3, restart_policy: {delay: 100ms}}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
fine() { [ "$(w 1 ps --json app.picky | jq '[.[] | select(.state == "running" and .node != "n2")] | length')" = 3 ]; }
test_case "what fails on one member runs on another" wait_for 40 "three" fine
sleep 12 # balance would come by now
test_case "and stays there" fine
w 1 rm app >/dev/null

spread=$(compose spread <<'YAML'
name: spread
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {replicas: 4, placement: {preferences: [{spread: node.labels.zone}]}}
YAML
)
daemon_stop 3
daemon_start 3 --label zone=b --resource gpu=2
wait_for 20 "three" members_up 1 3
load busybox 3
labelled() { [ "$(w 1 node inspect n3 | jq -r '.[0].labels[] | select(.key == "zone") | .value')" = b ]; }
wait_for 20 "its label" labelled
test_case "a preference is honoured" w 1 deploy -f "$spread"
test_case "half of the tasks are in the other zone" \
    [ "$(w 1 ps --json spread.web | jq '[.[] | select(.node == "n3")] | length')" = 2 ]
w 1 rm spread >/dev/null

# --- generic resources ----------------------------------------------------------------------------
file=$(compose gpu <<'YAML'
name: gpu
services:
  train:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy:
      replicas: 3
      resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
two() { [ "$(w 1 ps --json gpu | jq '[.[] | select(.state == "running" and .node == "n3")] | length')" = 2 ]; }
test_case "two of three find a resource" wait_for 30 "two" two
test_case "the third waits for one" grep -q 'short of a resource' <(w 1 ps gpu)
test_case "why says how many are left" grep -q 'n3.*0 of gpu left, 1 are asked for' <(w 1 why gpu)
test_case "inspect shows them" [ "$(w 1 node inspect n3 | jq -c '.[0].resources[0] | [.name, .count, .reserved]')" = '["gpu",2,2]' ]
finish
