#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host loses its power and comes back; so does the leader's host; so do all.
. "$(dirname "$0")/lib.sh"

begin lost 3
load busybox 1 2 3

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 6}
  every:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {mode: global}
YAML
)

# Every slot of web runs on a living host, once.
web_whole() { # web_whole MEMBER DEAD-NODE
    local slots
    slots=$(tasks "$1" app.web | jq -r --arg dead "$2" \
        '.[] | select(.state == "running" and .desired == "run" and .node != $dead) | .slot' | sort -n)
    [ "$(echo $slots)" = "1 2 3 4 5 6" ]
}

alone() { [ "$(really 2)" -ge 1 ]; }

# Processes of web on host N: what really runs, not what the state says.
really() {
    local cg
    cg=$(host_cgroup "$1")
    for p in $(cat /sys/fs/cgroup/*/"$cg"/container/*/cgroup.procs 2>/dev/null | sort -u); do
        tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null
        echo
    done | grep -c 'sleep 100000'
}

really_in_all() { [ $(($(really 1) + $(really 2) + $(really 3))) = "$1" ]; }

test_case "deploy" w 1 deploy -f "$file"
test_case "nine processes" really_in_all 9

l=$(leader 1)
f=$(follower 1 2 3)
host_kill "$f"
test_case "a host is killed, its tasks run elsewhere" wait_for 30 "six" web_whole "$l" "n$f"
test_case "it is shown as down" wait_for 10 "down" grep -q down <(w "$l" node ls)
host_boot "$f"
test_case "it comes back" wait_for 30 "up" members_up "$l" 3
test_case "without duplicates" wait_for 30 "nine processes" really_in_all 9
test_case "the global service is whole again" wait_for 30 "three" running_is "$l" app.every 3

l=$(leader 1)
f=$(follower 1 2 3)
host_kill "$l"
test_case "the leader's host is killed, its tasks run elsewhere" wait_for 40 "six" web_whole "$f" "n$l"
host_boot "$l"
test_case "it comes back too" wait_for 30 "up" members_up "$f" 3
test_case "without duplicates again" wait_for 30 "nine processes" really_in_all 9

# Its link is cut and heals: its containers ran on meanwhile, the surplus ends.
f=$(follower 1 2 3)
l=$(leader "$f")
before=$(really "$f")
host_cut "$f"
test_case "a link is cut, the others take over" wait_for 30 "six" web_whole "$l" "n$f"
keeps() { [ "$before" -ge 1 ] && [ "$(really "$f")" = "$before" ]; }
test_case "the one cut off keeps its containers" keeps
host_heal "$f"
test_case "healed, the surplus ends" wait_for 30 "nine processes" really_in_all 9

for n in 1 2 3; do host_kill $n; done
host_boot 2
test_case "after a total loss one member alone runs its tasks" wait_for 30 "tasks of host 2" alone
test_case "without a quorum" says 'leader|voters' w 2 scale app.web=1
unread() {
    local out status
    out=$(w 2 ls 2>&1)
    status=$?
    echo "$status: $out"
    [ $status = 7 ] && grep -q -e '--stale shows what this member has' <<<"$out"
}
test_case "a read says that it is not known, and what to do" unread
own_copy() { w 2 ls --stale --json | jq -r '.[].name' | grep -qx app.web; }
test_case "the member's own copy can be read" own_copy
test_case "and how old it is" says 'no word from a leader' eval 'w 2 status; false'
host_boot 1
host_boot 3
test_case "with the others it is whole" wait_for 60 "members" members_up 1 3
test_case "and so is the app" wait_for 60 "six" web_whole 1 none
test_case "without duplicates at the end" wait_for 30 "nine processes" really_in_all 9
finish
