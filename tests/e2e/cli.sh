#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line as a user meets it: names, options, lists, logs, waiting, other machines.
. "$(dirname "$0")/lib.sh"

count_ps() { w 1 ps "$@" --json | jq length; }

exits() { # exits STATUS COMMAND...
    local expected=$1
    shift
    "$@" >/dev/null 2>&1
    [ $? = "$expected" ]
}

names_apart() {
    [ "$(w 1 ps app.web -q | sort | xargs)" = "app.web.1 app.web.2" ] &&
        [ "$(w 2 ps app.web2 -q)" = app.web2.1 ] &&
        [ "$(w 3 logs --tail 1 app.web2)" = "web2.1 | I am web2" ] &&
        [ "$(w 1 inspect app.web | jq -r '.[].name')" = app.web ]
}

json_lists() {
    local c
    for c in "ls" "ls app" "ps" "ps app.web" "node ls" "image ls" "status" "inspect app" "inspect app.web.1" \
        "node inspect n1" "plan -f $file"; do
        # shellcheck disable=SC2086
        w 1 $c --json | jq -e 'type == "array" and (all(.[]; type == "object"))' >/dev/null || { echo "$c"; return 1; }
    done
    [ "$(w 1 ps app --json | jq -r '[.[].state] | unique | join(" ")')" = running ]
}

# Every line of every task, in the order of time, and each task's lines in their order.
logs_whole() {
    w 2 logs -t app.count >"$LAB_RUN/count.out" || return 1
    [ "$(wc -l <"$LAB_RUN/count.out")" = 4000 ] || { wc -l <"$LAB_RUN/count.out"; return 1; }
    [ "$(cut -d' ' -f3 "$LAB_RUN/count.out" | sort -c 2>&1)" = "" ] || return 1
    local n
    for n in 1 2; do
        [ "$(awk -v t="count.$n" '$1 == t {print $4}' "$LAB_RUN/count.out" | md5sum)" = "$(seq 2000 | md5sum)" ] || return 1
    done
}

long_line() { [ "$(w 2 logs app.long.1 | wc -c)" = 100001 ]; }

follow() {
    w 1 logs -f --tail 0 app.web >"$LAB_RUN/follow.out" 2>&1 &
    local pid=$!
    sleep 1
    w 2 scale app.web=3 >/dev/null
    wait_for 15 "a line of the new task" grep -q '^web.3 | tick' "$LAB_RUN/follow.out" || return 1
    grep -q '^web.1 | tick' "$LAB_RUN/follow.out" || return 1
    w 3 scale app.web=2 >/dev/null
    echo $pid >"$LAB_RUN/follow.pid"
}

follow_ended() { ! kill -0 "$(cat "$LAB_RUN/follow.pid")" 2>/dev/null; }

scale_waits() { w 1 scale app.web=4 web2=2 && running_is 1 app.web 4 && running_is 1 app.web2 2 && w 1 scale app.web=2 web2=1; }

unreachable() {
    local host out status
    host=$(w 1 ps app.web2 --json | jq -r '.[0].node' | tr -d n)
    host_cut "$host"
    out=$(w $((host % 3 + 1)) logs app.web2 app.web 2>&1 >/dev/null)
    status=$?
    host_heal "$host"
    [ $status = 1 ] && grep -q "app.web2.1 on n$host" <<<"$out"
}

remote() {
    local token
    token=$(w 2 token create --ttl 1h -q) || return 1
    (
        export WHERRY_HOST=$PREFIX.2:7401 WHERRY_TOKEN=$token
        [ "$(in_host 1 "$WHERRY" status --json | jq -r '.[0].node')" = n2 ] &&
            in_host 1 "$WHERRY" ps -q app.web | grep -q app.web.1 &&
            [ "$(in_host 1 "$WHERRY" -H "$PREFIX.3" status --json | jq -r '.[0].node')" = n3 ]
    )
}

begin cli 3
load busybox 1 2 3
load web 1
file=$(compose app <<'YAML'
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "while echo tick; do sleep 0.3; done"]
    stop_grace_period: 1s
    deploy:
      replicas: 2
  web2:
    image: demo/busybox:1
    command: ["sh", "-c", "echo I am web2; exec sleep 1000"]
    stop_grace_period: 1s
  count:
    image: demo/busybox:1
    command: ["sh", "-c", "seq 2000; exec sleep 1000"]
    stop_grace_period: 1s
    deploy:
      replicas: 2
  long:
    image: demo/busybox:1
    command: ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; exec sleep 1000"]
    stop_grace_period: 1s
YAML
)

test_case "plan tells of changes by its exit code" exits 2 w 1 plan -f "$file" --exit-code
test_case "deploy waits until all run" grep -q 'app.web .*2/2 running$' <(w 1 deploy -f "$file")
test_case "then nothing is left to do" grep -q 'Nothing to do' <(w 2 deploy -f "$file")
test_case "and plan has none" exits 0 w 3 plan -f "$file" --exit-code
test_case "web and web2 are not confused" names_apart
test_case "a short name will do" [ "$(w 1 ps web2 -q)" = app.web2.1 ]
test_case "lists in JSON are arrays of objects" json_lists
test_case "logs of two tasks are whole and in order" logs_whole
test_case "a long line stays one" long_line
test_case "--tail" [ "$(w 1 logs --tail 3 app.count | wc -l)" = 6 ]
test_case "--follow shows new tasks" follow
test_case "scale waits" scale_waits
test_case "a member that does not answer: the rest, its name, exit status 1" unreachable
test_case "the member is back" wait_for 20 "all up" members_up 1 3
test_case "from another machine with a token" remote
test_case "without one" says 'token' in_host 1 "$WHERRY" -H "$PREFIX.2" status
test_case "with a wrong one" says 'token' in_host 1 "$WHERRY" -H "$PREFIX.2" --token "$(w 1 token -q)" status
test_case "another folder of the same name is refused" says '\-\-adopt' w 1 deploy -f "$(compose other <"$file")" app
test_case "or taken over" w 1 deploy --adopt -f "$LAB_RUN/projects/other/compose.yaml" app
test_case "a service that left the file stays" grep -q -- 'app.web2 is not in the file.*--prune' \
    <(w 1 deploy -f "$(compose other < <(sed '/web2:/,/stop_grace/d' "$file"))" app)
test_case "and goes with --prune" w 1 deploy --prune -f "$LAB_RUN/projects/other/compose.yaml" app
test_case "it is gone" exits 3 w 1 ps app.web2
test_case "a mistyped command" says "did you mean 'deploy'" w 1 deplyo
test_case "a command of another tool" says 'wherry deploy' w 1 stack deploy
test_case "a command that only looks like another one" says "did you mean 'node drain'" w 1 drain n1
test_case "an unknown option says where the options are" says "'wherry help deploy' lists them" w 1 deploy --dry-runs-only
test_case "a member that is recovered is not called" says 'calls no member' w 1 recover -H "$PREFIX.1" --show
offers_a_member() { w 1 help "$1" | grep -q -e --host; }
test_case "help of a command that calls a member" offers_a_member ls
test_case "help of one that calls none" not offers_a_member recover
completes() { "$WHERRY" completion bash | grep -F "'$1') words=" | grep -q -e --host; }
test_case "completion of a command that calls a member" completes ls
test_case "completion of one that calls none" not completes recover
test_case "a mistyped option" says 'did you mean --json' w 1 ls --jsn
test_case "usage errors exit with 2" exits 2 w 1 scale web
test_case "no daemon" says 'wherry node' "$WHERRY" -H "$LAB_RUN/none.sock" ls
test_case "rm waits" w 1 rm app
test_case "nothing is left" [ "$(count_ps)" = 0 ]
test_case "--follow ended with the service" wait_for 15 "end of logs" follow_ended
finish
