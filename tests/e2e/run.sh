#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One-off tasks: wherry run, attached and detached.
. "$(dirname "$0")/lib.sh"

begin run 3
load busybox 1 2 3
run() { w 1 run "$@"; }
status_is() { # status_is WANTED COMMAND...
    local wanted=$1 got=0
    shift
    "$@" >/dev/null 2>&1 || got=$?
    [ "$got" = "$wanted" ] || { echo "exit status $got, not $wanted"; return 1; }
}
gone() { ! w 1 ls --json "$1" >/dev/null 2>&1; }

test_case "what it writes is shown" [ "$(run --rm demo/busybox:1 echo hello)" = hello ]
test_case "on the stream it came from" [ "$(run --rm demo/busybox:1 sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
test_case "its exit code is ours" status_is 7 run --rm demo/busybox:1 sh -c 'exit 7'
test_case "a command that is not there" status_is 127 run --rm demo/busybox:1 no-such-program
test_case "an image that is not there" status_is 125 run --rm --pull never demo/no-such:1 true
test_case "nothing of them stays" wait_for 20 "their end" gone run
test_case "standard input" [ "$(echo typed | run --rm -i demo/busybox:1 cat)" = typed ]
test_case "a terminal" grep -q /dev/pts <(script -qec "$WHERRY -H unix://$LAB_RUN/1/wherry.sock run --rm -it demo/busybox:1 tty" /dev/null </dev/null)
test_case "on the member that is named" [ "$(run --name there --node n3 demo/busybox:1 hostname >/dev/null; w 1 ps --json run.there | jq -r '.[0].node')" = n3 ]
test_case "a network that is not there" says "network .nowhere. does not exist; make it" run --rm --network nowhere demo/busybox:1 true
w 1 network create proxy >/dev/null
proxied() { [ "$(run --rm --network proxy demo/busybox:1 hostname -i)" = "$(w 1 network inspect proxy | jq -r '.[0].subnet' | cut -d. -f1-3).2" ]; }
test_case "in a network of the cluster's" proxied
test_case "which one of no stack cannot be in" says "'wherry run --network proxy' runs one in it" w 1 container run --network proxy demo/busybox:1 true
succeeded() { [ "$(w 2 job ls --json run.there | jq -r '.[0].runs[0].state')" = succeeded ]; }
test_case "it stays to be looked at" wait_for 10 "its success" succeeded
test_case "with its environment" [ "$(run --rm -e A=b -e C demo/busybox:1 sh -c 'echo $A')" = b ]
test_case "and a volume by its full name" run --rm -v data:/d demo/busybox:1 sh -c 'echo kept >/d/f'
test_case "which the next one has" [ "$(run --rm -v data:/d demo/busybox:1 cat /d/f)" = kept ]
test_case "the name is its own" says "already" run --name there demo/busybox:1 true
job=$(run -d demo/busybox:1 sh -c 'echo behind; sleep 2')
test_case "detached its name is printed" grep -q '^run\.busybox-' <<<"$job"
done_is() { [ "$(w 1 job ls --json "$job" | jq -r '.[0].runs[0].state')" = succeeded ]; }
test_case "it ends by itself" wait_for 20 "its end" done_is
test_case "its log is kept" grep -q "| behind" <(w 3 logs "$job")
test_case "until it is removed" w 1 job rm "$job"
test_case "which it is" wait_for 20 "its end" gone "$job"

# A signal goes to it; what is run on a lost member begins anew on another.
"$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" run --rm --name trap demo/busybox:1 sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done' &
pid=$!
runs() { [ "$(w 1 ps --json run.trap 2>/dev/null | jq -r '.[0].state')" = running ]; }
wait_for 20 "it to run" runs
sleep 0.5 # its trap is set
kill -TERM $pid
status=0
wait $pid || status=$?
test_case "a signal is handed on" [ $status = 9 ]
"$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" run --name lost demo/busybox:1 sleep 100000 >/dev/null 2>&1 &
pid=$!
runs() { [ "$(w 1 ps --json run.lost 2>/dev/null | jq -r '.[0].state')" = running ]; }
wait_for 20 "it to run" runs
w 1 job rm run.lost
status=0
wait $pid || status=$?
test_case "removed while it is attended it ends" [ $status != 0 ]

w 1 node pause n1 >/dev/null # the member that is called
"$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" run --rm --name anew demo/busybox:1 \
    sh -c 'trap "exit 4" TERM; echo begun; while :; do sleep 0.1; done' >"$LAB_RUN/anew.out" 2>&1 &
pid=$!
where() { w 1 ps --json run.anew 2>/dev/null | jq -r '[.[] | select(.desired == "run" and .state == "running")][0].node // ""'; }
there() { [ -n "$(where)" ]; }
wait_for 20 "it to run" there
from=$(where)
host_kill "${from#n}"
elsewhere() { [ -n "$(where)" ] && [ "$(where)" != "$from" ]; }
test_case "its member is lost: it begins anew on another" wait_for 30 "it elsewhere" elsewhere
begun() { [ "$(grep -c begun "$LAB_RUN/anew.out")" = 2 ]; }
test_case "where it is attended again" wait_for 30 "its words" begun
kill -TERM $pid
status=0
wait $pid || status=$?
test_case "and ends with its exit code" [ $status = 4 ]
finish
