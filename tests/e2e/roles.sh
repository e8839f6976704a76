#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Five members of three zones: who votes, and members that are drained, paused and made active again.
. "$(dirname "$0")/lib.sh"

begin roles 0
zone_up() { host_up "$1" --label "zone=$2"; }
zone_up 1 a
zone_up 2 a
zone_up 3 a
zone_up 4 b
test_case "four members form a cluster" cluster_form 1 2 3 4

voters() { w 1 node ls --json | jq -r '[.[] | select(.votes) | .name] | join(" ")'; }
votes() { [ "$(voters)" = "$*" ]; }
voters_n() { [ "$(voters | wc -w)" = "$1" ]; }
test_case "three of them vote" wait_for 20 "three voters" voters_n 3
test_case "the status says what may fail" grep -q '3 of 3 up, 2 needed, 1 more may fail' <(w 1 status)
spread() { # over so many zones
    [ "$(w 1 node ls --json |
        jq '[.[] | select(.votes) | .labels[] | select(.key == "zone") | .value] | unique | length')" = "$1" ]
}
test_case "the voters are to be spread" w 1 cluster set spread=zone
test_case "that is a setting" [ "$(w 2 cluster inspect | jq -r '.[0].spread')" = zone ]
test_case "both zones have a voter" wait_for 20 "spread" spread 2
test_case "still three vote" wait_for 20 "three voters" voters_n 3
zone_up 5 c
test_case "a fifth joins" w 5 join "$PREFIX.1" --token "$(w 1 token -q)"
test_case "five vote, in three zones" wait_for 20 "five voters" voters_n 5
test_case "all three zones have a voter" spread 3

# --- drain ----------------------------------------------------------------------------------------
load busybox 1 2 3 4 5
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 5}
  one:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
  here:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
YAML
)
test_case "deploy" w 1 deploy -f "$file"
on() { w 1 ps --json | jq "[.[] | select(.node == \"$1\" and .state == \"running\" and .desired == \"run\")] | length"; }
test_case "a task that has nowhere to go is named" says 'app.here.1 would stop, with nowhere to go: 0 of 5 nodes fit: 1 draining, 4 do not meet' w 1 node drain n2
test_case "and nothing is done" says '^wherry: nothing was done|add --yes' w 1 node drain n2
active() { [ "$(w 1 node inspect "$1" | jq -r '.[0].availability')" = "$2" ]; }
test_case "it is as it was" active n2 active
drain() { w 1 node drain --yes n2 >"$LAB_RUN/drain.out" 2>&1; }
test_case "drained all the same" drain
test_case "it says what waits" grep -q 'app.here.1 waits: 0 of 5 nodes fit' "$LAB_RUN/drain.out"
test_case "nothing runs there" [ "$(on n2)" = 0 ]
test_case "it is shown" grep -qE 'n2 +up, draining' <(w 1 node ls)
web() { running_is 1 app.web 5 && running_is 1 app.one 1; }
test_case "the rest runs elsewhere" wait_for 20 "five" web
test_case "it is active again" w 1 node activate n2
test_case "what waited for it runs" wait_for 20 "one" running_is 1 app.here 1

# One replica: the new one runs before the old one is stopped.
where() { w 1 ps app.one --json | jq -r '.[] | select(.state == "running") | .node' | sort -u; }
from=$(where)
watch_one() { # the fewest that run meanwhile
    local min=9 n
    while [ -e "$LAB_RUN/watching" ]; do
        n=$(running 1 app.one)
        [ "$n" -ge "$min" ] || min=$n
        echo "$min" >"$LAB_RUN/fewest"
    done
}
touch "$LAB_RUN/watching"
watch_one &
watcher=$!
test_case "the member of the single task is drained" w 1 node drain --yes "$from"
moved() { [ "$(where)" != "$from" ] && running_is 1 app.one 1; }
test_case "it runs elsewhere" wait_for 20 "moved" moved
rm "$LAB_RUN/watching"
wait $watcher
test_case "there was one at all times" [ "$(cat "$LAB_RUN/fewest")" -ge 1 ]
test_case "paused" w 1 node pause "$from"
test_case "it is shown" grep -qE "$from +up, paused" <(w 1 node ls)
test_case "six replicas" w 1 scale app.web=6
test_case "a paused member gets none" [ "$(on "$from")" = 0 ]
test_case "active" w 1 node activate "$from"
test_case "there is no such member" says "there is no node 'n9'" w 1 node drain n9
finish
