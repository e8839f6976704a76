#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tasks move to a member that joined or came back, one at a time, and not when it is turned off.
. "$(dirname "$0")/lib.sh"
begin rebalance 0
host_up 1
host_up 2
cluster_form 1 2 || exit 1
load busybox 1 2
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 6}
YAML
)
on() { tasks 1 app.web | jq --arg n "$1" '[.[] | select(.node == $n and .state == "running" and .desired == "run")] | length'; }
is_spread() { local n; for n; do [ "$(on "$n")" = 2 ] || return 1; done; }
never_less() { # until the file is gone: fewer than six are noted
    while [ -e "$LAB_RUN/watch" ]; do
        [ "$(running 1 app.web)" -ge 6 ] || echo "$(date +%T) $(running 1 app.web)" >>"$LAB_RUN/less"
        sleep 0.2
    done
}
test_case "six run on two" w 1 deploy -f "$file"
touch "$LAB_RUN/watch"
never_less &
watch=$!
host_up 3
load busybox 3
token=$(w 1 token -q)
test_case "a third joins" w 3 join "$PREFIX.1:7400" --token "$token"
test_case "it gets its share" wait_for 90 "two each" is_spread n1 n2 n3
rm "$LAB_RUN/watch"
wait $watch
test_case "never less than six ran" [ ! -e "$LAB_RUN/less" ]

ids() { tasks 1 app.web | jq -c '[.[] | select(.desired == "run") | .id] | sort'; }
before=$(ids)
sleep 15
test_case "then nothing moves any more" eval '[ "$(ids)" = "$before" ]'

test_case "it is turned off" w 1 cluster set rebalance=off
test_case "which shows" eval 'w 1 cluster inspect | jq -e ".[0].rebalance == false" >/dev/null'
w 1 node drain n3 >/dev/null
w 1 node activate n3 >/dev/null
sleep 15
test_case "tasks stay" eval '[ "$(on n3)" = 0 ]'
test_case "and on again" w 1 cluster set rebalance=on
test_case "they move" wait_for 90 "two each" is_spread n1 n2 n3
test_case "a word that it does not know is refused" says "on or off" w 1 cluster set rebalance=maybe
finish
