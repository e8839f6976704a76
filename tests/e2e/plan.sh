#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is planned is what then happens: deploys, scaling, draining. And kill, move, rm of one service.
. "$(dirname "$0")/lib.sh"

begin plan 3
load busybox 1 2 3
w 1 cluster set rebalance=off
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'echo hup' HUP; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    environment: {V: "1"}
    stop_grace_period: 1s
    deploy: {replicas: 4, update_config: {parallelism: 2, monitor: 1s}}
  db:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    volumes: ["data:/d"]
    stop_grace_period: 0s
  far:
    image: demo/busybox:1
    command: ["true"]
    deploy: {placement: {constraints: [node.labels.zone == moon]}}
volumes: {data: {}}
YAML
)
tasks() { w 1 ps --json app | jq -c '[.[] | select(.desired == "run" and .id != 0 and .state == "running") | {name, node, id}] | sort_by(.name)'; }
planned() { jq -c "[.[] | select(.action == \"$1\") | .object + \" \" + .node] | sort" <<<"$plan"; }

# What became of the tasks of $before: place, replace, move, stop.
became() {
    jq -cn --argjson old "$before" --argjson new "$(tasks)" --arg what "$1" '
        [($old + $new | map(.name) | unique)[] as $n
         | ($old[] | select(.name == $n)) // null | . as $o
         | ($new[] | select(.name == $n)) // null | . as $t
         | (if $o == null then "place" elif $t == null then "stop"
            elif $o.id == $t.id then "stay" elif $o.node == $t.node then "replace" else "move" end) as $a
         | select($a == $what) | $n + " " + (if $a == "stop" then $o.node else $t.node end)] | sort'
}
as_planned() { # as_planned WHAT: all that was foreseen happened, and nothing else
    local action
    for action in place replace move stop; do
        local want got
        want=$(planned $action)
        got=$(became $action)
        [ "$want" = "$got" ] || { echo "$1: $action: planned $want, became $got"; return 1; }
    done
}

before='[]'
plan=$(w 1 plan --json -f "$file")
w 1 deploy -d -f "$file" >/dev/null
up() { [ "$(jq length <<<"$(tasks)")" = "$1" ]; }
wait_for 30 "five" up 5
test_case "a first deploy is as planned" as_planned deploy
test_case "what has no place was planned to wait" [ "$(jq -r '.[] | select(.action == "wait") | .object' <<<"$plan")" = app.far.1 ]
test_case "with the reason" grep -q 'not meet' <(jq -r '.[] | select(.action == "wait") | .detail' <<<"$plan")
test_case "nothing more to do" eval 'w 1 plan -f "$file" --exit-code >/dev/null'

before=$(tasks)
sed -i 's/V: "1"/V: "2"/' "$file"
plan=$(w 1 plan --json -f "$file")
w 1 deploy -d -f "$file" >/dev/null
updated() { [ "$(w 1 ls --json app.web | jq -r '.[0].rollout')" = done ] && up 5; }
wait_for 60 "the rollout" updated
test_case "so is an update" as_planned update
test_case "of four tasks" [ "$(planned replace | jq length)$(planned move | jq length)" != 00 ]

before=$(tasks)
plan=$(w 1 scale --dry-run --json app.web=7)
w 1 scale -d app.web=7
wait_for 30 "eight" up 8
test_case "scaling up is as foreseen" as_planned "scale up"
before=$(tasks)
plan=$(w 1 scale --dry-run --json app.web=2)
test_case "a dry run changes nothing" up 8
w 1 scale -d app.web=2
wait_for 30 "three" up 3
test_case "and scaling down" as_planned "scale down"

w 1 scale app.web=5 >/dev/null
before=$(tasks)
home=$(jq -r '.[] | select(.name == "app.db.1") | .node' <<<"$before")
other=$(for n in n1 n2 n3; do [ $n != "$home" ] && echo $n; done | head -1)
plan=$(w 1 node drain --dry-run --json "$other")
w 1 node drain "$other" >/dev/null
wait_for 30 "six" up 6
test_case "draining is as foreseen" as_planned drain
w 1 node activate "$other" >/dev/null
plan=$(w 1 node drain --dry-run --json "$home")
test_case "what cannot leave is foreseen to wait" grep -q app.db.1 <(planned wait)
test_case "a plan of what is not there" says "no node" w 1 node drain --dry-run mars
test_case "deploy --dry-run is a plan" grep -q '^update' <(sed -i 's/V: "2"/V: "3"/' "$file"; w 1 deploy --dry-run -f "$file")

# --- by hand --------------------------------------------------------------------------------------
test_case "a signal to all tasks of a service" w 2 kill -s HUP app.web
hups() { [ "$(w 1 logs app.web | grep -c hup)" = 5 ]; }
test_case "which they get" wait_for 20 "five" hups
test_case "not to what does not run" says "no task of app.far runs" w 1 kill app.far
from=$(w 1 ps --json app.web.1 | jq -r '.[0].node')
to=$(for n in n1 n2 n3; do [ $n != "$from" ] && echo $n; done | head -1)
test_case "a move waits until it is done" w 1 move app.web.1 "$to"
test_case "and is" [ "$(w 1 ps --json app.web.1 | jq -r '[.[] | select(.desired == "run")][0].node')" = "$to" ]
test_case "where it does not fit it says why" says "stays on $home" w 1 move app.db.1 "$other"
test_case "one service is removed" grep -q 'Service app.far is gone' <(w 1 rm app.far)
test_case "the others stay" [ "$(w 1 ls --json app | jq length)" = 2 ]
finish
