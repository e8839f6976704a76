#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed, stopped and started under running containers.
. "$(dirname "$0")/lib.sh"

begin daemon 1
load busybox 1

file=$(compose app <<'YAML'
name: app
services:
  count:
    image: demo/busybox:1
    command: ["sh", "-c", "i=0; while :; do i=$$((i + 1)); echo line $$i; sleep 0.05; done"]
    stop_grace_period: 1s
  ends:
    image: demo/busybox:1
    command: ["sh", "-c", "while [ ! -e /data/end ]; do sleep 0.1; done; echo last words; exit 42"]
    restart: "no"
    volumes: ["data:/data"]
volumes:
  data:
YAML
)

test_case "deploy" w 1 deploy -f "$file"
id=t$(tasks 1 app.count | jq -r '.[0].id')
pid=$(pids_in 1 "$id" | head -1)
test_case "it has a process" [ -n "$pid" ]
same() { [ "$pid" = "$(pids_in 1 "$id" | head -1)" ]; }

volume=$(find "$LAB_DATA/1/volumes" -maxdepth 1 -name 'app_data*' | head -1)
daemon_kill 1
sleep 1
touch "$volume/end"
sleep 1
daemon_start 1
test_case "the daemon was killed: the same process runs on" same
failed_with_42() { [ "$(tasks 1 app.ends | jq -r '.[0] | "\(.state) \(.exit_code)"')" = "failed 42" ]; }
test_case "the end that fell into the gap has its true exit code" wait_for 20 "end" failed_with_42
test_case "and its last words" grep -q 'last words' <(w 1 logs app.ends)
no_gap() { # numbers without a hole
    w 1 logs app.count | awk '/line/ {n = $NF; if (last && n != last + 1) {print "gap after " last; bad = 1} last = n} END {exit bad || last < 20}'
}
test_case "no line of the log is lost" no_gap

daemon_stop 1
test_case "stopped: the same process runs on" same
daemon_start 1
test_case "started: still the same" same
test_case "it is running and takes commands" wait_for 20 "scale" w 1 scale app.count=2
test_case "the first task was not restarted" [ "$(tasks 1 app.count | jq '[.[] | select(.slot == 1)][0].restarts')" = 0 ]

# A shim that is killed takes its container along; the task is restarted.
kill -KILL "$(shim_of 1 "$id")"
restarted() { [ "$(tasks 1 app.count | jq '[.[] | select(.slot == 1)][0] | .restarts')" -ge 1 ] && running_is 1 app.count 2; }
test_case "the shim was killed: the task runs again" wait_for 30 "restart" restarted
finish
