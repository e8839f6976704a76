#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member is removed: while it is up, and while it is away.
. "$(dirname "$0")/lib.sh"

begin removed 4
load busybox 1 2 3 4
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 4}
YAML
)
containers() { ls "$LAB_DATA/$1/containers" 2>/dev/null | wc -l; }
none() { [ "$(containers "$1")" = 0 ]; }
whole() { running_is 1 app.web 4; }

w 1 deploy -f "$file" >/dev/null
test_case "every host has a task" [ "$(tasks 1 app.web | jq -r '.[].node' | sort -u | wc -l)" = 4 ]
test_case "one that is up is not removed by mistake" says 'is up' w 1 node rm n4
# It stands still while it is removed, so it hears of nothing, and then goes on talking.
kill -STOP "$(daemon_pid 4)"
test_case "with --force it is" w 1 node rm --force n4
cut_off() { for n in 1 2 3; do [ -z "$(in_host $n ss -Htn state established dst "$PREFIX.4")" ] || return 1; done; }
test_case "its connections are cut" wait_for 10 "cut" cut_off
kill -CONT "$(daemon_pid 4)"
refused() { grep -q 'its key is of no member\|n4 is no member any more' "$LAB_RUN"/[123].log; }
test_case "it goes on talking, and nobody listens" wait_for 30 "refusal" refused
test_case "what it would have changed is refused" says 'removed|no leader|cannot be reached|unknown' w 4 scale app.web=9
test_case "and did not happen" [ "$(w 1 inspect app.web | jq '.[0].replicas')" = 4 ]
test_case "it ends its containers" wait_for 40 "end" none 4
test_case "and says what it is" says 'removed' w 4 scale app.web=9
test_case "its task runs elsewhere" wait_for 20 "four" whole
test_case "the others are three" wait_for 10 "three" members_up 1 3

rejoin() {
    daemon_stop "$f"
    rm -rf "${LAB_DATA:?}/$f"
    daemon_start "$f"
    w "$f" join "$PREFIX.$l" --token "$(w "$l" token -q)" && wait_for 20 "three" members_up "$l" 3
}

f=$(follower 1 2 3)
l=$(leader 1)
host_kill "$f"
down() { w "$l" node ls --json | jq -e '.[] | select(.name == "n'"$f"'") | .status == "down"'; }
wait_for 20 "down" down
test_case "one that is down is removed" w "$l" node rm "n$f"
whole() { running_is "$l" app.web 4; }
test_case "its tasks run elsewhere" wait_for 20 "four" whole
host_boot "$f"
test_case "it comes back, learns of it and ends its containers" wait_for 40 "end" none "$f"
test_case "with its data gone it may join anew" rejoin

# The second must not go before raft has let go of the first: it would take the majority with it.
three_vote() { [ "$(w "$l" status --json | jq '.[0].voters_up')" = 3 ]; }
wait_for 30 "three voters" three_vote
l=$(leader 1)
gone=$(w "$l" node ls --json | jq -r '[.[] | select(.leader | not) | .name][0]')
next=$(w "$l" node ls --json | jq -r '[.[] | select(.leader | not) | .name][1]')
host_kill "${gone#n}"
is_down() { w "$l" node ls --json | jq -e '.[] | select(.name == "'"$gone"'") | .status == "down"'; }
wait_for 20 "down" is_down
both() { w "$l" node rm --yes "$gone" && w "$l" node rm --force --yes "$next"; }
test_case "two are removed in one breath" both
test_case "the one that is left goes on" w "$l" scale --detach app.web=2
finish
