#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A single service never runs twice: its holder's daemon is stopped, killed, cut off, its member removed by force, the leader lost.
# Each run writes who it is and the time since boot into one file, ten times a second; no two ever overlap.
# usage: [ROUNDS=1] tests/fault/single.sh
. "$(dirname "$0")/../e2e/lib.sh"

rounds=${ROUNDS:-1}
begin single 3
load busybox 1 2 3
w 1 cluster set rebalance=off >/dev/null
shared=$LAB_RUN/shared
mkdir -p "$shared"
chmod 777 "$shared"
file=$(compose app <<YAML
name: app
services:
  one:
    image: demo/busybox:1
    command: ["sh", "-c", "read -r me </proc/sys/kernel/random/uuid; trap 'exit 0' TERM; while :; do read -r now _ </proc/uptime; echo \$\$me \$\$now >>/shared/log; sleep 0.1; done"]
    volumes: ["$shared:/shared"]
    stop_grace_period: 1s
    deploy: {replicas: 1, restart_policy: {delay: 200ms}}
    x-wherry: {single: {lease: 6s}}
YAML
)
holder() { w "$1" ps --json app.one 2>/dev/null | jq -r '[.[] | select(.desired == "run" and .state == "running")][0].node // "" | ltrimstr("n")'; }
runs() { [ -n "$(holder "$1")" ]; }
writers() { cut -d' ' -f1 "$shared/log" 2>/dev/null | sort -u | wc -l; }
more_than() { [ "$(writers)" -gt "$1" ]; }
# Runs whose times overlap: first and last of each, in order.
overlaps() {
    awk '{if (!($1 in a)) a[$1] = $2; b[$1] = $2} END {for (i in a) print a[i], b[i], i}' "$shared/log" | sort -n |
        awk 'NR > 1 && $1 <= last {print "run " $3 " began at " $1 ", and " who " wrote until " last} {if ($2 > last) {last = $2; who = $3}}'
}
never_twice() {
    local found
    found=$(overlaps)
    [ -z "$found" ] || { echo "$found"; return 1; }
}
seen_from() { for n in 1 2 3; do [ "$n" != "$1" ] && echo "$n"; done | head -1; }
settled() { # settled MEMBER: it runs, and writes
    wait_for 60 "it to run" runs "$1"
    sleep 1
}
all_back() {
    local n
    for n in 1 2 3; do host_heal "$n" 2>/dev/null; daemon_alive "$n" || daemon_start "$n"; done
    wait_for 60 "all members" members_up 1 3
    wait_for 30 "a leader" has_leader 1
}

# lost WHAT: it moves on once the lease is over, and never runs twice
lost() {
    local what=$1 seen=$2 before=$3
    test_case "$what: it runs elsewhere" wait_for 60 "another run" more_than "$before"
    test_case "$what: never twice" never_twice
}

test_case "deploy" w 1 deploy -f "$file"
for round in $(seq "$rounds"); do
    settled 1
    h=$(holder 1)
    seen=$(seen_from "$h")
    before=$(writers)
    kill -STOP "$(daemon_pid "$h")"
    waits() { w "$seen" ps app.one 2>/dev/null | grep -q 'its lease on'; }
    test_case "stopped: the slot waits for the lease" wait_for 20 "the reason" waits
    lost "stopped" "$seen" "$before"
    kill -CONT "$(daemon_pid "$h")"
    wait_for 60 "all members" members_up "$seen" 3
    sleep 2
    test_case "stopped: nor when it goes on" never_twice

    all_back
    settled 1
    h=$(holder 1)
    seen=$(seen_from "$h")
    before=$(writers)
    daemon_kill "$h"
    lost "killed" "$seen" "$before"
    daemon_start "$h"
    wait_for 60 "all members" members_up "$seen" 3
    sleep 2
    test_case "killed: nor when it is back" never_twice

    all_back
    settled 1
    h=$(holder 1)
    seen=$(seen_from "$h")
    before=$(writers)
    host_cut "$h"
    lost "cut off" "$seen" "$before"
    host_heal "$h"
    wait_for 60 "all members" members_up "$seen" 3
    sleep 2
    test_case "cut off: nor when it is back" never_twice

    # Back before its lease is over it goes on; a daemon's restart is not felt.
    all_back
    settled 1
    h=$(holder 1)
    before=$(writers)
    daemon_stop "$h"
    daemon_start "$h"
    wait_for 60 "all members" members_up 1 3
    sleep 8
    test_case "a restart of its daemon is not felt" [ "$(writers)" = "$before" ]

    # The leader dies at the moment its holder is stopped.
    all_back
    settled 1
    h=$(holder 1)
    seen=$(seen_from "$h")
    l=$(leader "$seen")
    before=$(writers)
    if [ "$l" = "$h" ]; then
        kill -STOP "$(daemon_pid "$h")"
        lost "stopped leader" "$seen" "$before"
        kill -CONT "$(daemon_pid "$h")"
        wait_for 60 "all members" members_up "$seen" 3
        sleep 2
        test_case "stopped leader: nor when it goes on" never_twice
    else
        kill -STOP "$(daemon_pid "$h")"
        daemon_kill "$l"
        sleep 4
        daemon_start "$l"
        seen=$l
        lost "leader lost" "$seen" "$before"
        kill -CONT "$(daemon_pid "$h")"
        wait_for 60 "all members" members_up "$seen" 3
        sleep 2
        test_case "leader lost: nor when it goes on" never_twice
    fi

    # Removed and deployed again at once, while its former holder is stopped.
    all_back
    settled 1
    h=$(holder 1)
    seen=$(seen_from "$h")
    before=$(writers)
    kill -STOP "$(daemon_pid "$h")"
    sleep 4
    w "$seen" rm --detach app >/dev/null
    w "$seen" deploy --detach -f "$file" >/dev/null
    lost "deployed again" "$seen" "$before"
    kill -CONT "$(daemon_pid "$h")"
    wait_for 60 "all members" members_up "$seen" 3
    sleep 2
    test_case "deployed again: nor when it goes on" never_twice
done

# A member that is stopped is removed by force.
all_back
settled 1
h=$(holder 1)
seen=$(seen_from "$h")
before=$(writers)
kill -STOP "$(daemon_pid "$h")"
sleep 4
w "$seen" node rm --force --yes "n$h" >/dev/null
lost "removed by force" "$seen" "$before"
kill -CONT "$(daemon_pid "$h")"
sleep 8
test_case "removed by force: nor when it goes on" never_twice
echo "     $(writers) runs, $(wc -l <"$shared/log") lines"
finish
