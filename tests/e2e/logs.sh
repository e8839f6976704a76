#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Logs: no line is lost or doubled over rotation and the daemon's death, followed from another machine;
# the number and size of files are as asked for; a log that is thrown away.
. "$(dirname "$0")/lib.sh"

begin logs 2
load busybox 1 2

file=$(compose logs <<'YAML'
name: logs
services:
  count:
    image: demo/busybox:1
    command: ["sh", "-c", "sleep 2; for i in $$(seq 1 25000); do echo line $$i; [ $$((i % 100)) -ne 0 ] || sleep 0.03; done; echo done; sleep 1000"]
    stop_grace_period: 0s
    logging: {driver: json-file, options: {max-size: 128k, max-file: "20"}}
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
  small:
    image: demo/busybox:1
    command: ["sh", "-c", "for i in $$(seq 1 5000); do echo small $$i; done; sleep 1000"]
    stop_grace_period: 0s
    logging: {options: {max-size: 16k, max-file: "2"}}
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
  silent:
    image: demo/busybox:1
    command: ["sh", "-c", "while :; do echo noise; sleep 0.1; done"]
    stop_grace_period: 0s
    logging: {driver: none}
    deploy: {placement: {constraints: ["node.hostname == n2"]}}
  greedy:
    image: demo/busybox:1
    command: ["sh", "-c", "sleep 1; sh -c 'x=a; while :; do x=$$x$$x; done'; echo lived on; sleep 1000"]
    stop_grace_period: 0s
    deploy: {placement: {constraints: ["node.hostname == n2"]}, resources: {limits: {memory: 20M}}}
YAML
)
w 1 deploy -f "$file" --timeout 60s >/dev/null || { echo "FAIL logs: deploy"; exit 1; }
id_of() { echo "t$(tasks 1 "logs.$1" | jq -r '[.[] | select(.desired == "run")][0].id')"; }
log_dir() { echo "$LAB_DATA/2/containers/$(id_of "$1")/log"; }
all_lines() { seq 1 25000 | sed 's/^/line /'; echo done; }

followed=$LAB_RUN/followed
WHERRY_HOST=unix://$LAB_RUN/1/wherry.sock "$WHERRY" logs -f logs.count.1 >"$followed" 2>"$followed.err" &
follower=$!

kills() {
    local i
    for i in 1 2; do
        sleep 2
        daemon_kill 2
        sleep 0.3
        daemon_start 2
    done
    wait_for 90 "the last line" grep -q '^done' "$followed"
    kill -TERM "$follower"
    cmp "$followed" <(all_lines) || { diff "$followed" <(all_lines) | head; cat "$followed.err"; return 1; }
}
test_case "followed over rotation and two deaths of the daemon: each line once" kills

at_rest() {
    [ "$(ls "$(log_dir count)" | wc -l)" -gt 5 ] || { ls -l "$(log_dir count)"; return 1; }
    w 1 logs logs.count.1 | cmp - <(all_lines)
}
test_case "… and read as a whole afterwards" at_rest

limits() {
    local sizes
    wait_for 20 "the last line" grep -q 'small 5000$' "$(log_dir small)/1.log"
    sizes=$(stat -c %s "$(log_dir small)"/* | sort -n | tail -1)
    [ "$(ls "$(log_dir small)")" = $'1.log\n1.log.1' ] && [ "$sizes" -le 16384 ] || { ls -l "$(log_dir small)"; return 1; }
}
test_case "as many files, as large as asked for" limits

silent() {
    local out
    out=$(timeout 3 env WHERRY_HOST="unix://$LAB_RUN/1/wherry.sock" "$WHERRY" attach silent 2>&1)
    [ -z "$(w 1 logs logs.silent)" ] && grep -q noise <<<"$out" || { echo "$out"; return 1; }
}
test_case "a log that is thrown away; who is attached sees it" silent

greedy() {
    wait_for 30 "its output" grep -q 'lived on' "$(log_dir greedy)/1.log"
    wait_for 20 "a word of it" said_so
    running_is 1 logs.greedy 1 && [ "$(tasks 1 logs.greedy | jq -r '.[0].restarts')" = 0 ]
}
said_so() { tasks 1 logs.greedy | jq -e '.[0].message | test("out of memory")'; }
test_case "a child killed for want of memory is told of, the container lives on" greedy

finish
