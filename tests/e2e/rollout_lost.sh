#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Members that are lost in the middle of a rollout: one that runs tasks, and the one that leads.
. "$(dirname "$0")/lib.sh"

begin rollout-lost 3
load busybox 1 2 3
version() { # version N ORDER
    compose app <<YAML
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "touch /up; sleep 100000"]
    environment: {VERSION: "$1"}
    stop_grace_period: 0s
    healthcheck: {test: ["CMD", "test", "-e", "/up"], interval: 1s, retries: 2}
    deploy:
      replicas: 6
      update_config: {parallelism: 1, monitor: 1s, order: $2, failure_action: rollback}
YAML
}
rollout() { w "$1" ls --json app.web | jq -r '.[0].rollout'; }
state_is() { [ "$(rollout "$1")" = "$2" ]; }
healthy() { w "$1" ps --json app.web | jq '[.[] | select(.desired == "run" and .state == "running" and .health == "healthy")] | length'; }
whole() { [ "$(healthy "$1")" = 6 ] && [ "$(w "$1" ls --json app.web | jq -r '.[0] | .state + " " + .rollout')" = "running done" ]; }
part() { # part MEMBER REVISION: some, not all, are of it
    local n
    n=$(w "$1" ps --json app.web | jq "[.[] | select(.desired == \"run\" and .revision == $2 and .health == \"healthy\")] | length")
    [ "$n" -ge 2 ] && [ "$n" -lt 6 ]
}
revision=1
test_case "deploy" w 1 deploy -f "$(version 1 stop-first)"

# lose WHO WHAT ORDER: the member is killed in the middle of the next rollout
lose() {
    local gone=$1 seen fewest n
    seen=$(for n in 1 2 3; do [ "$n" != "$gone" ] && echo "$n"; done | head -1)
    revision=$((revision + 1))
    w "$seen" deploy -d -f "$(version $revision "$3")" >/dev/null
    wait_for 60 "part of it" part "$seen" $revision
    host_kill "$gone"
    fewest=6
    for n in $(seq 100); do
        whole "$seen" && break
        n=$(healthy "$seen" 2>/dev/null)
        [ -n "$n" ] && [ "$n" -lt $fewest ] && fewest=$n
        sleep 0.5
    done
    test_case "$2, $3: the rollout ends" wait_for 60 "its end" whole "$seen"
    test_case "$2, $3: no task is doubled" [ "$(w "$seen" ps --json app.web | jq '[.[] | select(.desired == "run")] | [length, (map(.name) | unique | length)] | unique | length')" = 1 ]
    test_case "$2, $3: it did not go back" state_is "$seen" "done"
    # Two of the lost member, and what is being replaced.
    test_case "$2, $3: never fewer than the rules allow" [ $fewest -ge 3 ]
    host_boot "$gone"
    wait_for 30 "three" members_up "$seen" 3
    load busybox "$gone"
    surplus() { [ "$(w "$seen" ps --json app.web | jq '[.[] | select(.state == "running")] | length')" = 6 ]; }
    test_case "$2, $3: back, what it had left ends" wait_for 30 "six" surplus
}
for order in stop-first start-first; do
    wait_for 20 "a leader" has_leader 1
    lose "$(follower 1 2 3)" "a member" $order
    wait_for 20 "a leader" has_leader 1
    lose "$(leader 1)" "the leader" $order
done
finish
