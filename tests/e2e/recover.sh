#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster loses its quorum for good and goes on from one member, whose containers run on; members
# that come back with their old logs can do nothing.
. "$(dirname "$0")/lib.sh"
begin recover 3

load busybox 1 2 3
file=$(compose shop <<'YAML'
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "1000000"]
    deploy: {mode: global}
YAML
)
w 1 deploy -f "$file" --detach >/dev/null || exit 1
wait_for 60 "the app" running_is 1 shop 3 || exit 1
pid_of() { pids_in "$1" "t$(tasks "$1" shop --stale | jq -r --arg n "n$1" '.[] | select(.node == $n) | .id')"; }
survivor_pids=$(pid_of 2)
recover() { "$WHERRY" recover --data "$LAB_DATA/2" "$@"; }
field() { recover --show --json | jq -r ".[0].$1"; }
alone() { [ "$(w 2 status --json | jq -r '.[0] | "\(.leader) \(.voters)"')" = "n2 1" ]; }
role() { w 2 node inspect "$1" --json | jq -r '.[0].role'; }
role_is() { [ "$(role "$1")" = "$2" ]; }

test_case "not while its daemon runs" says "stop it first" recover --show
host_kill 1
host_kill 3
daemon_stop 2
test_case "it shows what the member has" eval 'recover --show | grep -qE "n2 \(this\) +voter"'
test_case "all that was acknowledged is there" eval '[ "$(field services)" = 1 ] && [ "$(field tasks)" = 3 ]'
test_case "nothing is done unasked" says "nothing was done" recover </dev/null
test_case "it says what may be lost, and acts when asked" eval 'recover --yes | grep -q "may be lost"'
daemon_start 2
test_case "it is the only voter" wait_for 30 "it" alone
test_case "the others are cut off" wait_for 30 "the role" role_is n3 "cut off"
same() { # the container's process is the one of before; the shim's helpers may come and go
    echo "before: $survivor_pids; now: $(pid_of 2)"
    [ -n "$(comm -12 <(sort <<<"$survivor_pids") <(pid_of 2 | sort))" ]
}
test_case "its containers ran on" wait_for 30 "its process" same
change() { w 2 token create -q >/dev/null; }
test_case "it takes changes" change
again() { daemon_stop 2 && says "not lost its quorum" recover --yes; local rv=$?; daemon_start 2; return $rv; }
test_case "once is enough" again
wait_for 30 "a leader" alone >/dev/null

# The others come back together: they would be a majority of the old members.
index=$(w 2 status --json | jq '.[0].index')
host_boot 1
host_boot 3
test_case "members that come back with their old logs get new ones" wait_for 90 "three members" members_up 2 3
aside() { [ -e "$LAB_DATA/1/raft.damaged-1/cut-off" ] && [ -e "$LAB_DATA/3/raft.damaged-1/cut-off" ]; }
test_case "the old ones are set aside" wait_for 60 "the logs" aside
voters() { [ "$(w 2 status --json | jq '.[0].voters_up')" = 3 ]; }
test_case "they vote again" wait_for 60 "three voters" voters
unharmed() { [ "$(w 1 status --json | jq '.[0].index')" -ge "$index" ] && w 3 token create -q >/dev/null; }
test_case "and the cluster goes on where it was recovered" unharmed
test_case "with all its tasks" wait_for 60 "three tasks" running_is 2 shop 3

# Two members, and the only voter dies: the standby goes on.
host_kill 1
wait_for 30 "n1 down" eval '[ "$(w 2 node inspect n1 --json | jq -r ".[0].status")" = down ]'
w 2 node rm n1 --yes >/dev/null 2>&1 || w 2 node rm n1 >/dev/null
one_voter() { [ "$(w 2 status --json | jq '.[0].voters')" = 1 ]; }
wait_for 60 "one voter" one_voter
voter=$(w 2 node ls --json | jq -r '.[] | select(.role == "voter" or .leader) | .name' | tr -d n)
other=$((5 - voter))
host_kill "$voter"
daemon_stop "$other"
lone() {
    "$WHERRY" recover --data "$LAB_DATA/$other" --show | grep -qE "n$other \(this\) +standby" &&
        "$WHERRY" recover --data "$LAB_DATA/$other" --yes >/dev/null && daemon_start "$other"
}
test_case "a standby whose only voter died is recovered" lone
leads() { [ "$(w "$other" status --json | jq -r '.[0].leader')" = "n$other" ] && w "$other" token create -q >/dev/null; }
test_case "it leads" wait_for 30 "it" leads
finish
