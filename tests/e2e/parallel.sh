#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many at once: fifty stacks through three members, two joins at the same time.
. "$(dirname "$0")/lib.sh"

begin parallel 3
load busybox 1 2 3
host_up 4
host_up 5

for k in $(seq 50); do
    compose "s$k" >/dev/null <<YAML
name: s$k
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
YAML
done

create_all() {
    local k jobs=()
    for k in $(seq 50); do
        w $((k % 3 + 1)) deploy --detach -f "$LAB_RUN/projects/s$k/compose.yaml" >/dev/null &
        jobs+=($!)
    done
    for k in "${jobs[@]}"; do wait "$k" || return 1; done
}
join_both() {
    local token a b
    token=$(w 1 token -q)
    w 4 join "$PREFIX.1" --token "$token" >/dev/null &
    a=$!
    w 5 join "$PREFIX.2" --token "$token" >/dev/null &
    b=$!
    wait $a && wait $b
}
running_all() { [ "$(w 1 ps --json | jq '[.[] | select(.state == "running")] | length')" = 50 ]; }
unique() { # unique JQ-FILTER COUNT: that many values, all different
    local values
    values=$(w 2 ps --json | jq -r "$1")
    [ "$(wc -l <<<"$values")" = "$2" ] && [ "$(sort -u <<<"$values" | wc -l)" = "$2" ]
}

test_case "fifty creates through three members" create_all
test_case "two joins at once" join_both
test_case "five members" wait_for 30 "five" members_up 1 5
test_case "their ids are five" [ "$(w 3 node ls --json | jq -r '.[].id' | sort -u | wc -l)" = 5 ]
test_case "all run" wait_for 60 "fifty" running_all
test_case "no address twice" unique '.[].addresses[]' 50
test_case "no id twice" unique '.[].id' 50
test_case "all members agree" [ "$(for n in 1 2 3 4 5; do w $n ps --json | jq -S 'map({id, node, addresses}) | sort_by(.id)' | sha256sum; done | sort -u | wc -l)" = 1 ]
finish
