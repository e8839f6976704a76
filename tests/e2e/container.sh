#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Looking into the containers of tasks, on the member that has them and through another: ls, inspect,
# stats, top, logs, wait, pause, kill, update.
. "$(dirname "$0")/lib.sh"

begin container 2
load busybox 1 2

file=$(compose shop <<'YAML'
name: shop
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'echo hup' HUP; echo begun; while :; do sleep 0.1; done"]
    user: "1234:1234"
    stop_grace_period: 1s
    deploy:
      resources: {limits: {memory: 64M, cpus: "0.5", pids: 50}}
      placement: {constraints: ["node.hostname == n2"]}
      restart_policy: {condition: any, delay: 1s}
  eater:
    image: demo/busybox:1
    command: ["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null; sleep 100000"]
    stop_grace_period: 1s
    deploy:
      resources: {limits: {memory: 80M}}
      placement: {constraints: ["node.hostname == n1"]}
  once:
    image: demo/busybox:1
    command: ["sh", "-c", "sleep 2; exit 7"]
    deploy: {mode: replicated-job, restart_policy: {condition: none}}
YAML
)
test_case "deploy" w 1 deploy -d -f "$file"
wait_for 20 "web" running_is 1 shop.web 1
wait_for 20 "eater" running_is 1 shop.eater 1

id_of() { echo "t$(tasks 1 "$1" | jq -r '[.[] | select(.desired == "run")][0].id')"; }
web=$(id_of shop.web) eater=$(id_of shop.eater)
c() { w 1 container "$@"; }
info() { c inspect "$1" | jq -r ".[0]$2"; }
group() { echo "$(host_cgroup "$1")/container/$2"; }
# v NAME-OF-V1 NAME-OF-V2 HOST ID: what the kernel says
v() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat "/sys/fs/cgroup/$(group "$3" "$4")/$2"; else
        cat /sys/fs/cgroup/*/"$(group "$3" "$4")/$1"
    fi
}

# --- who is there -----------------------------------------------------------------------------------
listed() { c ls "$@" --json; }
test_case "ls shows the containers of the called machine" [ "$(listed | jq -r '.[] | select(.id == "'"$eater"'") | .name + " " + .state + " " + .node')" = "shop.eater.1 running n1" ]
test_case "and not those of another" [ "$(listed | jq '[.[] | select(.id == "'"$web"'")] | length')" = 0 ]
test_case "of another with --node" [ "$(listed --node n2 | jq -r '.[] | select(.id == "'"$web"'") | .name')" = shop.web.1 ]
test_case "its pid is the first in its group" [ "$(listed --node n2 | jq '.[0].pid')" = "$(pids_in 2 "$web" | head -1)" ]
test_case "a task's name leads to its machine" [ "$(info shop.web.1 .id)" = "$web" ]
test_case "so does its service's, with one task" [ "$(info shop.web .id)" = "$web" ]
test_case "so does an id" [ "$(info "$web" .name)" = shop.web.1 ]
test_case "what is not there is not found" says "no container 'x9' on n1" c inspect x9
test_case "nor a task" says "no task 'shop.nobody'" c inspect shop.nobody
test_case "a beginning that two have is refused" says "containers begin with 't'" c inspect t
test_case "a node that is not there" says "no node 'n9'" c ls --node n9

test_case "inspect has its record" [ "$(info shop.web .spec.memory_bytes)" = $((64 << 20)) ]
test_case "its group" [ "$(info shop.web .cgroup)" = "/$(group 2 "$web")" ]
test_case "its processes" [ "$(info shop.web '.pids[0]')" = "$(pids_in 2 "$web" | head -1)" ]
test_case "its mounts" [ "$(info shop.web '.mounts[] | select(.target == "/") | .type')" = overlay ]
test_case "its log" grep -q begun "$(info shop.web .log_path)"

test_case "top: pids, user, command" [ "$(c top shop.web --json | jq -r '[.[] | select(.inside_pid == 1)][0] | "\(.pid) \(.uid) \(.user) " + (.command | split(" ")[0])')" = "$(pids_in 2 "$web" | head -1) 1234 1234 sh" ]
test_case "logs" grep -q '^begun$' <(c logs shop.web)

# --- what it uses ------------------------------------------------------------------------------------
used() { c stats --no-stream --json "$1" | jq ".[0].$2"; }
near() { awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN { exit !(a - b <= d && b - a <= d) }' || { echo "$1 $2"; return 1; }; }
test_case "memory is what the kernel counts" near "$(used shop.eater memory_bytes)" "$(v memory.usage_in_bytes memory.current 1 "$eater")" $((4 << 20))
test_case "at least what it wrote to memory" [ "$(used shop.eater memory_bytes)" -ge $((40 << 20)) ]
test_case "its limit" [ "$(used shop.eater memory_limit_bytes)" = $((80 << 20)) ]
test_case "processor time too" near "$(($(used shop.web cpu_ns) / 1000000))" "$(($(cat /sys/fs/cgroup/cpuacct/"$(group 2 "$web")"/cpuacct.usage 2>/dev/null || awk '/usage_usec/ {print $2 "000"}' /sys/fs/cgroup/"$(group 2 "$web")"/cpu.stat) / 1000000))" 2000
test_case "processes and their limit" [ "$(used shop.web pids_limit)" = 50 ]
test_case "half a core" [ "$(used shop.web cpu_limit_milli)" = 500 ]
test_case "network, by its own namespace" [ "$(used shop.web network_known)" = true ]
test_case "stats as a table" grep -qE '^shop.eater.1 +[0-9.]+%' <(c stats --no-stream)

# --- pause -------------------------------------------------------------------------------------------
state_of() { c ls --node "$1" --json "$2" | jq -r '.[0].state'; }
test_case "pause" c pause shop.web
test_case "it is said" [ "$(state_of n2 "$web")" = paused ]
frozen() { local a b; a=$(used shop.web cpu_ns); sleep 0.5; b=$(used shop.web cpu_ns); [ "$a" = "$b" ]; }
test_case "it does not run" frozen
test_case "its task still does" running_is 1 shop.web 1
test_case "twice is fine" c pause shop.web
daemon_kill 2
daemon_start 2
known() { [ "$(state_of n2 "$web")" = paused ]; }
test_case "a daemon that starts anew finds it paused" wait_for 20 "state" known
test_case "a signal waits" c kill -s HUP shop.web
test_case "resume" c resume shop.web
heard() { c logs shop.web | grep -q '^hup$'; }
test_case "then it comes" wait_for 10 "signal" heard
test_case "it runs again" [ "$(state_of n2 "$web")" = running ]
test_case "one that does not run cannot be paused" says "does not run" c pause shop.once

# --- update ------------------------------------------------------------------------------------------
test_case "other limits" c update --cpus 0.25 --memory 48m --pids-limit 33 shop.web
test_case "of processes" [ "$(v pids.max pids.max 2 "$web")" = 33 ]
test_case "of memory" [ "$(v memory.limit_in_bytes memory.max 2 "$web")" = $((48 << 20)) ]
test_case "of processors" grep -qE '^25000( 100000)?$' <(v cpu.cfs_quota_us cpu.max 2 "$web")
test_case "up again, beyond what memory and swap were" c update --memory 96m shop.web
test_case "both follow" [ "$(used shop.web memory_limit_bytes)" = $((96 << 20)) ]
test_case "below what it uses is refused" says "uses [0-9]+ bytes of memory now" c update --memory 20m --pids-limit 99 shop.eater
test_case "and nothing of it is done" [ "$(info shop.eater '.spec | "\(.memory_bytes) \(.pids_max // 0)"')" = "$((80 << 20)) 0" ]
test_case "nonsense is refused" says "not a size" c update --memory 5potatoes shop.eater
test_case "no limit is said" says "no limit was given" c update shop.eater

# --- kill, and what comes of it ----------------------------------------------------------------------
c pause shop.web >/dev/null
test_case "a paused one can be killed" c kill shop.web
again() { [ "$(info shop.web .state.run)" = 2 ] && [ "$(state_of n2 "$web")" = running ]; }
test_case "its service's policy has it run again" wait_for 20 "second run" again
test_case "with the new limits" [ "$(v pids.max pids.max 2 "$web")" = 33 ]
test_case "an unknown signal" says "no signal 'NONSENSE'" c kill -s NONSENSE shop.web
test_case "wait gives the exit code" [ "$(c wait shop.once.1)" = 7 ]
c pause shop.web >/dev/null
test_case "a stack with a paused container goes" w 1 rm shop
gone() { [ "$(listed --node n2 | jq length)" = 0 ]; }
test_case "with all of it" wait_for 20 "empty" gone
finish
