#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member was off while much happened: it was declared down, its tasks were moved, stacks came and
# went, and the log it would go on from is not there any more. It comes back alone.
. "$(dirname "$0")/lib.sh"

# Snapshots are taken after 64 entries here, and 16 are kept behind one.
begin return 0
for n in 1 2 3; do host_up $n --snapshot-entries 64; done
cluster_form 1 2 3 || exit 1
load busybox 1 2 3

service() { # service NAME REPLICAS
    cat <<YAML
  $1:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: $2}
YAML
}
app=$( (echo "name: app"; echo "services:"; service web 6) | compose app)
old=$( (echo "name: old"; echo "services:"; service job 3) | compose old)
new=$( (echo "name: new"; echo "services:"; service web 3) | compose new)

index_of() { w "$1" status --json | jq '.[0].index'; }
first_in_log() { ls "$LAB_DATA/$1/raft" | sed -n 's/^0*\([0-9]*\)-[0-9]*$/\1/p' | sort -n | head -1; }
processes() { cat /sys/fs/cgroup/*/"$(host_cgroup "$1")"/container/*/cgroup.procs 2>/dev/null | sort -u | wc -l; }
# As many processes on every host as the state has tasks running there, and not one more.
as_the_state_says() {
    local n
    for n in 1 2 3; do
        [ "$(processes $n)" = "$(w "$l" ps --json | jq "[.[] | select(.state == \"running\" and .node == \"n$n\")] | length")" ] || return 1
    done
    running_is "$l" app.web 4 && running_is "$l" new.web 3 && ! w "$l" ps old
}

w 1 deploy -f "$app" >/dev/null
w 1 deploy -f "$old" >/dev/null
f=$(follower 1 2 3)
l=$(leader 1)
test_case "the member has tasks" [ "$(processes "$f")" -ge 2 ]
last=$(index_of "$f")
host_kill "$f"
down() { w "$l" node ls --json | jq -e ".[] | select(.name == \"n$f\") | .status == \"down\""; }
test_case "it is off, and down" wait_for 30 "down" down
moved() { w "$l" ps app --json | jq -e "[.[] | select(.state == \"running\" and .desired == \"run\" and .node != \"n$f\")] | length == 6"; }
test_case "its tasks run elsewhere" wait_for 30 "six" moved
w "$l" rm old -d >/dev/null
w "$l" scale app.web=4 >/dev/null
w "$l" deploy -f "$new" >/dev/null
for n in $(seq 90); do w "$l" node pause "n$f" >/dev/null; w "$l" node activate "n$f" >/dev/null; done
begins_later() { [ "$(first_in_log "$l")" -gt "$last" ]; }
test_case "the log does not reach back to it" wait_for 60 "a shorter log" begins_later
host_boot "$f"
test_case "it comes back" wait_for 60 "up" members_up "$l" 3
caught_up() { [ "$(index_of "$f")" -ge "$(index_of "$l")" ]; }
test_case "with the whole state" wait_for 60 "the index" caught_up
test_case "what moved away has ended there, nothing runs twice" wait_for 60 "the processes" as_the_state_says
test_case "it takes changes" w "$f" rm new
finish
