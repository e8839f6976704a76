#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh up     three hosts on this machine form a cluster, run deploy/demo/compose.yaml, lose one
#                host and carry on
# demo.sh down   nothing of it is left
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hosts.sh"

LAB=wherry-demo
PREFIX=10.99.77
images=$here/../../build/images

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { # print a command as a user would type it, and do it on host $1
    local n=$1
    shift
    printf '\n[host %s]$ wherry %s\n' "$n" "$*"
    w "$n" "$@"
}
die() {
    echo "demo: $*; the daemons' logs are in /run/$LAB/*.log, 'make demo-down' cleans up" >&2
    exit 1
}

fetch() { curl -sS -m 5 "http://$PREFIX.$1:8080/"; }

web_count() { # web tasks running on hosts other than $1
    w "$1" ps demo.web --json | jq "[.[] | select(.state == \"running\" and .health == \"healthy\" and .node != \"n$2\" and .desired == \"run\")] | length"
}

all_back() { [ "$(web_count 1 3)" = 3 ] && store_up; }
store_up() { [ "$(w 1 ps demo.store --json | jq '[.[] | select(.state == "running" and .desired == "run")] | length')" = 1 ]; }

up() {
    if lab_find "$LAB"; then
        echo "the demo is up already: 'make demo-down' ends it" >&2
        exit 1
    fi
    say "Images, made from Debian packages"
    "$here/images.sh" "$images" web redis || die "the images could not be made"

    say "Three hosts, each a network namespace with a daemon of its own"
    lab_up "$LAB" "$PREFIX"
    local n
    for n in 1 2 3; do host_up "$n" || die "host $n did not start"; done
    ls -l "$LAB_RUN"/*/wherry.sock | awk '{print $NF}'

    say "Two commands to a cluster: init on the first, join on the others"
    run 1 init || die "init failed"
    local token
    token=$(w 1 token -q) || die "no token"
    for n in 2 3; do run "$n" join "$PREFIX.1" --token "$token" || die "join failed"; done
    wait_for 30 "three members" members_up 1 3 || die "the members did not come up"
    run 1 node ls

    say "The images, on every host"
    for n in 1 2 3; do
        w "$n" image load "$images/web.tar" && w "$n" image load "$images/redis.tar"
    done || die "the images could not be loaded"

    say "Deploy, from any member"
    run 2 deploy -f "$here/compose.yaml" || die "the deploy failed"
    run 3 ps

    say "A page through each host, wherever the tasks are"
    for n in 1 2 3; do
        printf '$ curl http://%s.%s:8080/\n' "$PREFIX" "$n"
        fetch "$n" || die "no page through host $n"
    done

    say "Host 3 loses its power"
    host_kill 3
    local start
    start=$(date +%s%N)
    wait_for 60 "the tasks on the other two" all_back || die "the tasks did not come back"
    echo "all tasks run on the other two $((($(date +%s%N) - start) / 1000000)) ms later"
    run 1 ps
    for n in 1 2; do
        printf '$ curl http://%s.%s:8080/\n' "$PREFIX" "$n"
        fetch "$n" || die "no page through host $n"
    done
    next_steps
}

next_steps() {
    local sock=unix:///run/$LAB/1/wherry.sock
    say "What to try next"
    cat <<TXT
  export WHERRY_HOST=$sock
  ./wherry status                     health of the cluster
  ./wherry ps demo                    where everything runs
  ./wherry logs -f demo.store         follow a service
  ./wherry scale demo.web=5           more replicas
  ./wherry plan -f deploy/demo/compose.yaml    after you changed it
  ./wherry help                       all commands
  sudo deploy/demo/demo.sh boot 3     give host 3 its power back
  sudo make demo-down                 remove all of it
TXT
}

case ${1:-} in
up) up ;;
down)
    if lab_find "$LAB" || ip netns list | grep -q "^$LAB-"; then
        LAB_DATA=${LAB_DATA:-/var/lib/$LAB}
        lab_down
    fi
    ;;
kill) lab_find "$LAB" && host_kill "$2" ;;
boot) lab_find "$LAB" && host_boot "$2" ;;
*)
    sed -n '4,6s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
