#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rollouts that cannot hang or hurt, and services by hand, over three hosts.
. "$(dirname "$0")/lib.sh"
begin rollout 3
load busybox 1 2 3

# app VERSION [COMMAND-AS-YAML [MORE-OF-DEPLOY [MORE-OF-THE-SERVICE]]]
app() {
    compose app <<YAML
name: app
services:
  web:
    image: ${IMAGE:-demo/busybox:1}
    environment: {VERSION: "$1"}
    command: ${2:-[\"sleep\", \"100000\"]}
    stop_grace_period: 1s
    deploy: {replicas: 3, update_config: {monitor: 1s${3:+, $3}}}
${4:+    $4}
YAML
}
service() { w 1 inspect app.web | jq -r ".[0].$1"; }
service_is() { [ "$(service "$1")" = "$2" ]; }
ids() { tasks 1 app.web | jq -c '[.[] | select(.desired == "run" and .id > 0) | .id] | sort'; }
version_of() { w 1 exec app.web.1 sh -c 'echo $VERSION'; }
same_tasks() { [ "$(ids)" = "$before" ]; }
other_tasks() { [ "$(ids)" != "$before" ]; }
no_tasks() { [ "$(tasks 1 app.web | jq '[.[] | select(.id > 0 and .state == "running")] | length')" = 0 ]; }

one=$(app 1)
test_case "the first revision runs" w 1 deploy -f "$one"
before=$(ids)
test_case "the same file touches nothing" w 1 deploy -f "$one"
test_case "no task is another" same_tasks

# What needs no other task leaves all alone.
sed -i 's/stop_grace_period: 1s/stop_grace_period: 2s\n    pids_limit: 77/' "$one"
test_case "other limits are planned to replace nothing" eval 'w 1 plan -f "$one" | grep -q "no task is replaced"'
test_case "other limits are deployed" w 1 deploy -f "$one"
test_case "no task is another for them" same_tasks
limit_is() { w 1 exec app.web.1 cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null | grep -qx 77; }
pids_limit() {
    for d in $(host_cgroup_dirs "$1"); do
        case $d in */container/t*) [ "$(cat "$d/pids.max" 2>/dev/null)" = 77 ] && return 0 ;; esac
    done
    return 1
}
test_case "they hold in the containers that run" wait_for 10 "the limit" eval 'pids_limit 1 && pids_limit 2 && pids_limit 3'

# A revision that cannot be had costs nothing.
bad=$(IMAGE=demo/missing:1 app 2)
test_case "a deploy of an image that is not there fails" says 'app.web.1|image' w 1 deploy --timeout 40s -f "$bad"
test_case "all tasks of before run on" same_tasks
test_case "the rollout pauses by itself" wait_for 60 "the pause" service_is rollout paused
test_case "ls says why" eval 'w 1 ls | grep "paused" | grep -q "failed"'
test_case "rollback goes back to what runs" w 1 rollback app.web
test_case "no task was replaced for that" same_tasks

# One that fails goes back by itself.
crash=$(app 3 '["sh", "-c", "exit 3"]' 'failure_action: rollback')
test_case "a deploy that crashes says that it went back" says 'went back|ends again' w 1 deploy -f "$crash"
test_case "it is rolled back" wait_for 60 "the rollback" service_is rollout "rolled back"
test_case "three run" wait_for 30 "three" running_is 1 app.web 3
test_case "with the former environment" wait_for 20 "version 1" eval '[ "$(version_of)" = 1 ]'

# Health: the new one never gets healthy, the old ones stay but for one.
sick=$(app 4 '' 'failure_action: pause' 'healthcheck: {test: ["CMD", "false"], interval: 1s, retries: 2}')
test_case "a deploy that is not healthy fails" says 'paused|unhealthy|health' w 1 deploy --timeout 60s -f "$sick"
test_case "it is paused" wait_for 60 "the pause" service_is rollout paused
two_left() { [ "$(tasks 1 app.web | jq '[.[] | select(.desired == "run" and .health == "none" and .state == "running")] | length')" = 2 ]; }
test_case "two of before run" two_left
test_case "rollback repairs" w 1 rollback app.web

# Start first.
five=$(app 5 '' 'order: start-first, parallelism: 3')
test_case "start-first is deployed" w 1 deploy -f "$five"
test_case "all are of the new one" eval '[ "$(version_of)" = 5 ]'

# Back by number, and forward.
test_case "history lists them" eval 'w 1 history app.web --json | jq -e "length >= 5 and (.[-1].current) and (.[-1].cause == \"deployed\")" >/dev/null'
first=$(w 1 history app.web --json | jq '.[0].revision')
test_case "a rollback to the first" w 1 rollback app.web "$first"
test_case "has its environment" eval '[ "$(version_of)" = 1 ]'
test_case "and says so" service_is cause "rolled back to $first"
test_case "one that is not kept is refused" says 'is not kept' w 1 rollback app.web 999

# By hand.
before=$(ids)
test_case "restart replaces all" w 1 restart app.web
test_case "all are others" other_tasks
test_case "stop ends all" w 1 stop app.web
test_case "none runs" no_tasks
test_case "ls says stopped" eval 'w 1 ls | grep -q "stopped"'
for n in 1 2 3; do daemon_stop $n; done
for n in 1 2 3; do daemon_start $n; done
test_case "a leader is there again" wait_for 30 "a leader" has_leader 1
test_case "it stays stopped over a restart of all" no_tasks
test_case "a deploy leaves it stopped" w 1 deploy -f "$one"
test_case "none runs after it" no_tasks
test_case "start runs it" w 1 start app.web
test_case "three run again" running_is 1 app.web 3
node_of() { tasks 1 app.web.1 | jq -r '[.[] | select(.desired == "run" and .state == "running")][0].node'; }
at=$(node_of)
to=$([ "$at" = n1 ] && echo n2 || echo n1)
test_case "a task is told to move" w 1 move app.web.1 "$to"
test_case "it moves" wait_for 30 "the move" eval '[ "$(node_of)" = "$to" ]'
test_case "a task that is there is not moved" says 'on that member already' w 1 move app.web.1 "$to"

# Removal and deploy at once.
w 1 rm --detach app >/dev/null
test_case "a stack is deployed while it is being removed" w 1 deploy -f "$one"
test_case "it runs" running_is 1 app.web 3
finish
