#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers of no stack: in the foreground and the background, on another machine, before there is a
# cluster; their policies over a killed daemon, stopped by hand, removed.
. "$(dirname "$0")/lib.sh"

begin container_run 2
load busybox 1 2
image=demo/busybox:1
c() { w 1 container "$@"; }
is() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
exits_with() { local want=$1 rv=0; shift; "$@" || rv=$?; is "$rv" "$want"; }
state() { c inspect "$1" | jq -r '.[0].state.status'; }
run_of() { c inspect "$1" | jq -r '.[0].state.run'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
gone() { ! c ls --json | jq -e --arg id "$1" '.[] | select(.id == $id)' >/dev/null; }

# --- on a machine that is no member of a cluster ------------------------------------------------------
host_up 3
load busybox 3
alone() { w 3 "$@"; }
test_case "alone: in the foreground" is "$(alone container run --rm demo/busybox:1 echo hi)" hi
test_case "alone: with standard input" is "$(echo in | alone container run --rm -i demo/busybox:1 cat)" in
test_case "alone: in the background" is "$(alone container run -d --name a -v data:/d demo/busybox:1 sh -c 'echo hi >/d/x; sleep 1000')" c-a
test_case "alone: exec" is "$(alone exec a cat /d/x)" hi
test_case "alone: its volume" is "$(alone volume ls -q)" data
test_case "alone: another node is none" says "no node 'n1'" alone container run --node n1 demo/busybox:1 true
test_case "alone: wait" is "$(alone container kill a >/dev/null; alone container wait a)" 137
test_case "alone: the daemon stops and starts" eval 'daemon_stop 3 && daemon_start 3'
test_case "alone: rm" alone container rm a

# --- in the foreground ------------------------------------------------------------------------------
test_case "its output and exit code" exits_with 3 c run --rm --name one $image sh -c 'echo out; echo err >&2; exit 3'
test_case "streams are apart" is "$(c run --rm $image sh -c 'echo out; echo err >&2' 2>/dev/null)" out
test_case "with --rm nothing is left" gone c-one
test_case "all of much output" is "$(c run --rm $image seq 1 50000 | md5sum)" "$(seq 1 50000 | md5sum)"
test_case "standard input" is "$(echo hello | c run --rm -i $image cat)" hello
test_case "what cannot be run" exits_with 127 c run --rm --name none $image no-such-program
test_case "leaves nothing either" gone c-none
test_case "a user that the image has not" says "'nobody-here' is not in" c run --rm --name none -u nobody-here $image true
test_case "that leaves nothing either" gone c-none
test_case "another OCI runtime is not taken for a missing image" says "no OCI runtime 'other'" c run --rm --runtime other $image true
test_case "options" is "$(c run --rm -e A=1 -w /tmp -u 12:34 --hostname box $image sh -c 'echo $A $(pwd) $(id -u) $(hostname)')" "1 /tmp 12 box"
test_case "no network by default" is "$(c run --rm $image sh -c 'ls /sys/class/net | tr "\n" " "')" "lo "
test_case "the machine's with host" grep -q eth0 <(c run --rm --network host $image ls /sys/class/net)
test_case "a limit" grep -qE '^50$' <(c run --rm --pids-limit 50 $image sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null')
test_case "read-only" says "ead-only file system" c run --rm --read-only $image touch /x
test_case "another network is refused, and the command that has it named" says "wherry run --network web" c run --network web $image true
test_case "so is a port" says "no ports to publish" c run -p 80:80 $image true
test_case "a wrong option is named" says "cap-add: 'FLY'" c run --cap-add FLY $image true
test_case "an image that is not here" says "" c run --pull never demo/none:1 true

# --- in the background ------------------------------------------------------------------------------
test_case "run -d prints the id" is "$(c run -d --name web --restart always $image sh -c 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done')" c-web
test_case "it runs" state_is web running
test_case "a second one of that name" says "already" c run -d --name web $image true
test_case "exec by its name" is "$(w 1 exec web echo hi)" hi
test_case "rm asks for nothing running" says "runs" c rm web
test_case "a task's verbs are not for it" says "no name for a container" c run --name a.b $image true
test_case "on another machine" is "$(w 1 container run --node n2 --rm $image hostname -i 2>/dev/null; w 1 container run -d --node n2 --name far $image sleep 1000)" c-far
test_case "it is there" is "$(c ls --node n2 -q)" c-far
test_case "rm -f there" c rm -f --node n2 c-far
test_case "a killed one comes back" c kill web
wait_for 10 "the second run" eval '[ "$(run_of web)" = 2 ] && state_is web running'
test_case "stop" c stop web
test_case "it is stopped" state_is web exited
c run -d --name keep --restart unless-stopped $image sleep 1000 >/dev/null
c run -d --name once $image sleep 1000 >/dev/null
first=$(c inspect keep | jq '.[0].state.pid')

# --- the daemon's death, the machine's ---------------------------------------------------------------
daemon_kill 1
daemon_start 1
wait_for 15 "the daemon" w 1 container ls
test_case "what ran runs on" is "$(c inspect keep | jq '.[0].state.pid')" "$first"
test_case "what was stopped by hand stays so" state_is web exited
host_kill 1
host_boot 1
wait_for 15 "the daemon" w 1 container ls
wait_for 10 "after a boot of the machine" eval '[ "$(run_of keep)" = 2 ] && state_is keep running'
test_case "after a boot it runs again" state_is keep running
test_case "that without a policy does not" not state_is once running
test_case "nor what was stopped by hand" not state_is web running
test_case "start by hand" c start web
test_case "restart" c restart -t 1 keep
wait_for 5 "its next run" eval '[ "$(run_of keep)" = 3 ]'
test_case "prune leaves what runs, and takes the rest" is "$(c prune)" c-once
test_case "rm -f" c rm -f web keep
test_case "nothing is left" is "$(c ls -q)" ""

finish
