#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Commands in containers and attaching to them, here and on another machine: exit codes, streams, much
# data both ways, terminals, several at once, and what the death of a daemon or a shim does.
. "$(dirname "$0")/lib.sh"

begin exec 3
load busybox 1 2 3

file=$(compose exec <<'YAML'
name: exec
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "i=0; while :; do i=$$((i+1)); echo tick $$i; sleep 0.2; done"]
    environment: {COLOR: blue}
    stop_grace_period: 0s
    deploy: {mode: global}
  console:
    image: demo/busybox:1
    command: ["sh"]
    stdin_open: true
    tty: true
    stop_grace_period: 0s
  filter:
    image: demo/busybox:1
    command: ["sh", "-c", "while read l; do echo got $$l; done; echo over; exit 7"]
    stdin_open: true
    stop_grace_period: 0s
    restart: "no"
YAML
)
w 1 deploy -f "$file" --timeout 60s >/dev/null || { echo "FAIL exec: deploy"; exit 1; }

# The task of SERVICE on host N, and the host of SERVICE's task.
task_on() { tasks 1 exec | jq -r --arg n "n$2" --arg s "exec.$1" \
    '[.[] | select(.node == $n and .service == $s and .desired == "run")][0].name'; }
id_of() { tasks 1 exec | jq -r --arg t "$1" '[.[] | select(.name == $t and .desired == "run")][0].id'; }
host_of() { tasks 1 "$1" | jq -r '[.[] | select(.desired == "run")][0].node' | tr -d n; }
here=$(task_on web 1)
there=$(task_on web 2)
big=$LAB_RUN/big
head -c 20000000 /dev/urandom >"$big"
sum=$(sha256sum <"$big")

is() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }

exits_with() { # exits_with CODE COMMAND...
    local want=$1 rv=0
    shift
    "$@" || rv=$?
    is "$rv" "$want"
}

runs_commands() {
    is "$(w 1 exec "$1" sh -c 'echo out; echo err >&2; echo $COLOR' 2>/dev/null)" $'out\nblue' &&
        is "$(w 1 exec "$1" sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err &&
        exits_with 42 w 1 exec "$1" sh -c 'exit 42' &&
        is "$(w 1 exec -w /etc -e COLOR=red "$1" sh -c 'pwd; echo $COLOR')" $'/etc\nred' &&
        is "$(w 1 exec -u 12:34 "$1" sh -c 'id -u; id -g')" $'12\n34' &&
        exits_with 127 w 1 exec "$1" /no/such/program &&
        is "$(w 1 exec "$1" ls -d /etc -- 2>&1)" /etc
}
test_case "a command's output, code, user, folder, environment; here" runs_commands "$here"
test_case "… and on another machine" runs_commands "$there"

names_tasks() {
    is "$(w 1 exec console echo a)" a && is "$(w 1 exec exec.console echo b)" b &&
        is "$(w 1 exec "${there#exec.}" echo c)" c &&
        is "$(w 2 exec "t$(id_of "$there")" echo d)" d &&
        exits_with 3 w 1 exec nothing echo e && exits_with 3 w 1 exec exec.nothing.1 echo f
}
test_case "a task by its name, its service's, in short, or its container's id" names_tasks

much() {
    is "$(w 1 exec -i "$1" sh -c 'cat >/tmp/big; sha256sum </tmp/big' <"$big")" "$sum" &&
        is "$(w 1 exec "$1" cat /tmp/big | sha256sum)" "$sum" &&
        is "$(w 1 exec -i "$1" cat <"$big" | sha256sum)" "$sum" && w 1 exec "$1" rm /tmp/big
}
test_case "20 MB in, out, and both ways at once; here" much "$here"
test_case "… and on another machine" much "$there"

hundred() {
    is "$(w 1 exec "$there" sh -c 'head -c 100000000 /dev/zero | tr "\0" x' | sha256sum)" \
        "$(head -c 100000000 /dev/zero | tr '\0' x | sha256sum)"
}
test_case "100 MB out of another machine, every byte" hundred

eight() {
    local i out=$LAB_RUN/eight
    mkdir -p "$out"
    for i in 1 2 3 4 5 6 7 8; do
        w 1 exec "$there" sh -c "seq $i 20000; exit $i" >"$out/$i" &
    done
    local ok=0 n=0
    for i in $(jobs -p); do
        n=$((n + 1))
        wait "$i" || [ $? = "$n" ] || ok=1
    done
    for i in 1 2 3 4 5 6 7 8; do cmp "$out/$i" <(seq "$i" 20000) || ok=1; done
    return $ok
}
test_case "eight at once" eight

# in_tty ARGUMENTS: wherry in a terminal of 33 lines; standard input is what is typed
in_tty() {
    timeout 60 script -qec "stty rows 33 cols 99; $WHERRY -H unix://$LAB_RUN/1/wherry.sock $*; echo status \$?;
        stty -a | grep -c ' echo '" /dev/null
}

# Types a line once the pattern was seen in what came so far.
typed() { # typed FILE PATTERN LINE [PATTERN LINE]...
    local file=$1 i
    shift
    while [ $# -gt 1 ]; do
        for i in $(seq 200); do
            grep -qE "$1" "$file" && break
            sleep 0.05
        done
        printf "$2"
        shift 2
    done
}

terminal() {
    local out=$LAB_RUN/tty
    : >"$out"
    typed "$out" '/ # ' 'stty size; tty; echo a""b\n' '^ab' 'exit 5\n' | in_tty exec -it "$there" sh >"$out"
    grep -q '^33 99' "$out" && grep -q '^/dev/pts/' "$out" && grep -q 'status 5' "$out" &&
        grep -q '^1' "$out" || { cat "$out"; return 1; }
}
test_case "exec -it: a terminal of the size of the user's, which is put back" terminal

attach_tty() {
    local out=$LAB_RUN/tty
    : >"$out"
    typed "$out" . '\n' '/ # ' 'stty size; echo c""d\n' '^cd' '\020\021' | in_tty attach console >"$out"
    grep -q '^33 99' "$out" && grep -q 'status 0' "$out" || { cat "$out"; return 1; }
    running_is 1 exec.console 1 && is "$(w 1 exec console echo still)" still
}
test_case "attach: a terminal; ctrl-p ctrl-q leaves and it runs on" attach_tty

attach_two() {
    local a=$LAB_RUN/a b=$LAB_RUN/b one two
    timeout 3 "$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" attach "$there" >"$a" 2>/dev/null &
    one=$!
    timeout 3 "$WHERRY" -H "unix://$LAB_RUN/3/wherry.sock" attach "$there" >"$b" 2>/dev/null &
    two=$!
    wait "$one" "$two"
    [ "$(grep -c '^tick' "$a")" -ge 3 ] && [ "$(grep -c '^tick' "$b")" -ge 3 ]
}
test_case "two attached to one task, through two members" attach_two

gapless() { # gapless FILE: "tick N" lines without one missing or doubled
    awk '/^tick/ {if (n && $2 != n + 1) bad = 1; n = $2; lines++}
         END {if (bad || lines < 15) exit 1}' "$1" || { head -50 "$1"; return 1; }
}

# The daemon of the task's machine is killed under an exec and an attached one, both through host 1.
daemon_killed() {
    local out=$LAB_RUN/killed att=$LAB_RUN/killed.att rv=0 one two
    w 1 exec "$there" sh -c 'for i in $(seq 1 40); do echo tick $i; sleep 0.1; done; exit 9' >"$out" &
    one=$!
    timeout 12 "$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" attach "$there" >"$att" 2>"$att.err" &
    two=$!
    sleep 1
    daemon_kill 2
    sleep 0.5
    daemon_start 2
    wait "$one" || rv=$?
    is "$rv" 9 || { cat "$out"; return 1; }
    is "$(cat "$out")" "$(seq 1 40 | sed 's/^/tick /')" || return 1
    wait "$two"
    gapless "$att" || { cat "$att.err"; return 1; }
}
test_case "kill -9 of the task's daemon: exec and attach go on, nothing lost" daemon_killed

ends_with_client() {
    local pid i
    WHERRY_HOST=unix://$LAB_RUN/1/wherry.sock "$WHERRY" exec "$there" sleep 7654 &
    pid=$!
    for i in $(seq 50); do
        w 1 exec "$there" pgrep -f 'sleep 7654' >/dev/null && break
        sleep 0.1
    done
    kill -TERM "$pid"
    exits_with 143 wait "$pid" || return 1
    for i in $(seq 50); do
        w 1 exec "$there" pgrep -f 'sleep [7]654' >/dev/null || break
        sleep 0.1
    done
    [ "$i" -lt 50 ] && is "$(ls "$LAB_RUN/2/containers/t$(id_of "$there")/exec")" ""
}
test_case "a command ends with its client, and leaves nothing" ends_with_client

filter_input() {
    local host id
    host=$(host_of exec.filter)
    printf 'one\ntwo\n' | timeout 10 "$WHERRY" -H "unix://$LAB_RUN/1/wherry.sock" attach --close-stdin filter >"$LAB_RUN/filter"
    local rv=$?
    is "$rv" 7 && is "$(cat "$LAB_RUN/filter")" $'got one\ngot two\nover'
}
test_case "attach gives standard input, and has the container's exit status" filter_input

token_of() { w 1 token create "$@" --json | jq -r '.[0].token'; }
from_elsewhere() { # from_elsewhere TOKEN ARGUMENTS...
    in_host 3 env WHERRY_HOST="$PREFIX.2" WHERRY_TOKEN="$1" "$WHERRY" "${@:2}"
}
rights() {
    local deployer viewer other
    deployer=$(token_of --role deployer --stack exec) viewer=$(token_of --role viewer)
    other=$(token_of --role deployer --stack shop)
    is "$(from_elsewhere "$deployer" exec "$here" echo in)" in &&
        says 'role' from_elsewhere "$viewer" exec "$here" echo no &&
        says 'no task' from_elsewhere "$other" exec "$here" echo no &&
        says 'admin' from_elsewhere "$deployer" exec --privileged "$here" true
}
test_case "a deployer in its stacks, a viewer nowhere" rights

shim_killed() {
    local id shim before i
    id=t$(id_of "$there")
    before=$(grep -c "$LAB_RUN/2/containers/$id" /proc/self/mountinfo)
    shim=$(shim_of 2 "$id")
    kill -9 "$shim"
    for i in $(seq 100); do
        [ "$(tasks 1 exec | jq -r --arg t "$there" '[.[] | select(.name == $t)][0].restarts')" -ge 1 ] && break
        sleep 0.1
    done
    [ "$i" -lt 100 ] || { tasks 1 exec; return 1; }
    is "$(grep -c "$LAB_RUN/2/containers/$id" /proc/self/mountinfo)" "$before" &&
        in_host 2 sh -c "! grep -q containers/$id /proc/self/mountinfo"
}
test_case "a killed shim is noticed within seconds, and leaves no mount" shim_killed

finish
