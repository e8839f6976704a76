#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A daemon that drains its machine before it stops, and takes tasks again when it is back.
. "$(dirname "$0")/lib.sh"

begin farewell 3
load busybox 1 2 3
restart_3() { # its end is seen before its return is waited for
    daemon_stop 3
    wait_for 20 "two" members_up 1 2
    daemon_start 3 --drain-on-stop 20s
    wait_for 20 "three" members_up 1 3
}
restart_3
load busybox 3
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {replicas: 6}
YAML
)
test_case "deploy" w 1 deploy -f "$file"
on_three() { w 1 ps --json app | jq '[.[] | select(.node == "n3" and .state == "running")] | length'; }
test_case "some are there" [ "$(on_three)" -ge 1 ]

kill -TERM "$(daemon_pid 3)"
ended() { ! daemon_alive 3; }
fewest=6
for n in $(seq 100); do
    ended && break
    n=$(w 1 ps --json app | jq '[.[] | select(.state == "running")] | length')
    [ "$n" -lt $fewest ] && fewest=$n
    sleep 0.1
done
test_case "it stops" wait_for 30 "its end" ended
test_case "its tasks run elsewhere by then" [ "$(on_three)" = 0 ]
test_case "all of them" running_is 1 app.web 6
test_case "there were never fewer" [ $fewest = 6 ]
availability() { w 1 node ls --json | jq -r '.[] | select(.name == "n3") | .availability'; }
test_case "it is drained" [ "$(availability)" = drain ]

daemon_start 3 --drain-on-stop 20s
active() { [ "$(availability)" = active ]; }
test_case "back, it takes tasks again" wait_for 30 "activation" active
test_case "it logs so" wait_for 10 "the line" grep -q 'takes tasks again' "$LAB_RUN/3.log"

w 1 node drain n3 >/dev/null
restart_3
sleep 2
test_case "what an operator drained stays so" [ "$(availability)" = drain ]
w 1 node activate n3 >/dev/null

# Nobody takes over: it just stops. And a second signal is enough.
stuck=$(compose stuck <<'YAML'
name: stuck
services:
  db:
    image: demo/busybox:1
    command: ["sh", "-c", "trap '' TERM; sleep 100000 & while :; do wait; done"]
    stop_grace_period: 60s
    deploy: {placement: {constraints: [node.hostname == n3]}}
YAML
)
w 1 deploy -f "$stuck" >/dev/null
kill -TERM "$(daemon_pid 3)"
drains() { [ "$(availability)" = drain ]; }
wait_for 20 "its drain" drains
kill -TERM "$(daemon_pid 3)"
test_case "a second signal stops it at once" wait_for 8 "its end" ended
finish
