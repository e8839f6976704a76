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

# --- a join that stops half way -------------------------------------------------------------------
host_up 3
pid=$(daemon_pid 3)
mkdir "$LAB_DATA/3/identity/raft.tmp.$pid.$pid" # so the note that its log began cannot be written
: >"$LAB_DATA/3/identity/founding"              # of an init that failed
test_case "a member that cannot note its log says so" says 'must be started again' w 3 join "$PREFIX.2" --token "$(w 2 token -q)"
test_case "its daemon ends" wait_for 20 "the end" not daemon_alive 3
test_case "with the reason" grep -q 'raft\.tmp.*Is a directory' "$LAB_RUN/3.log"
rmdir "$LAB_DATA/3/identity/raft.tmp.$pid.$pid"
daemon_start 3
test_case "started again it is a member, and founds nothing" wait_for 30 "two" members_up 2 2
test_case "both are of one mind" [ "$(w 3 node ls -q | xargs)" = "$(w 2 node ls -q | xargs)" ]
finish
