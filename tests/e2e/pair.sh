#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Of two members the one that leads alone has a vote: when it is removed it hands it on first.
. "$(dirname "$0")/lib.sh"

begin pair 2
load busybox 1 2
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 2}
YAML
)
test_case "deploy" w 2 deploy -f "$file"
test_case "it is said what two members cannot survive" grep -q 'has a copy of the state' <(w 1 status)
test_case "who removes the leader is asked first" says 'when one more is lost.*' w 2 node rm --force n1
test_case "the leader is removed" w 2 node rm --force --yes n1
writes() { timeout 20 "$WHERRY" -H "unix://$LAB_RUN/2/wherry.sock" scale --detach app.web=3; }
test_case "the other one leads and takes changes" wait_for 30 "a leader" writes
three() { running_is 2 app.web 3; }
test_case "all runs there" wait_for 20 "three" three
alone() { [ "$(w 2 node ls --json | jq -r 'map(.name + " " + .role) | join(",")')" = "n2 voter" ]; }
test_case "it is the only member" wait_for 10 "alone" alone
finish
