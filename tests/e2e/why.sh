#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Why something waits, fails or is stopped: each cause in a line.
. "$(dirname "$0")/lib.sh"
begin why 3
load busybox 1 2 3

file=$(compose app <<'YAML'
name: app
x-b: &b {image: "demo/busybox:1", command: ["sleep", "100000"], stop_grace_period: 1s}
services:
  good: {<<: *b}
  big: {<<: *b, deploy: {resources: {reservations: {memory: 1000000g}}}}
  far: {<<: *b, deploy: {placement: {constraints: ["node.labels.zone == moon"]}}}
  late: {<<: *b, depends_on: [big]}
  crash: {<<: *b, command: ["sh", "-c", "exit 7"]}
  lost: {<<: *b, image: "demo/none:1"}
  idle: {<<: *b}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
w 1 stop app.idle >/dev/null
# because OBJECT NODE STATE CAUSE: there is such a line
because() {
    w 1 why app --json | jq -e --arg o "$1" --arg n "$2" --arg s "$3" --arg c "$4" \
        '[.[] | select(.object == $o and .node == $n and .state == $s and (.cause | test($c)))] | length > 0' >/dev/null
}
test_case "memory, node by node" wait_for 20 "the reason" because app.big.1 n2 no "MiB of memory unreserved, 1024000000 are asked for"
test_case "a constraint" because app.far.1 n1 no "not node.labels.zone == moon"
test_case "a dependency" because app.late.1 "" waits "waits for app.big to be started"
crashes() { w 1 why app.crash --json | jq -e '[.[] | select(.state == "waiting" and (.cause | test("exited with 7; restarted")))] | length > 0' >/dev/null; }
test_case "a crash loop" wait_for 30 "a restart" crashes
lost() { w 1 why app.lost --json | jq -e '[.[] | select(.cause | test("demo/none:1"))] | length > 0' >/dev/null; }
test_case "an image that is not there" wait_for 30 "the image" lost
test_case "a service that was stopped" because app.idle "" stopped "by hand"
test_case "and what to do" eval 'w 1 why app.idle | grep -q "wherry start app.idle"'
test_case "what runs has no reason" eval '[ "$(w 1 why app.good)" = "All is as it should be." ]'
test_case "what is not there is said" says "there is no" w 1 why app.none
test_case "all in a table" eval 'w 1 why | grep -E "^app.big.1 +n3 +no "'
finish
