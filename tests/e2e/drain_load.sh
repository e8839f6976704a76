#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that never stop asking while tasks are replaced, moved and drained: none is refused.
. "$(dirname "$0")/lib.sh"
begin drain-load 3
load web 1 2 3

# app VERSION REPLICAS ORDER
app() {
    compose load <<YAML
name: load
services:
  web:
    image: demo/web:1
    command: ["sh", "-c", "mkdir -p /www; echo version $1 >/www/index.html; exec httpd -f -p 80 -h /www"]
    ports: ["8080:80"]
    stop_grace_period: 2s
    healthcheck: {test: ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1/"], interval: 1s}
    deploy: {replicas: $2, update_config: {order: $3, monitor: 1s}}
YAML
}

# Four clients on three hosts, each request a connection of its own, and wrk on the second.
clients_start() {
    local i
    rm -f "$LAB_RUN"/{stop,good,bad}*
    nsenter --net="/run/netns/$LAB-2" wrk -t1 -c4 -d120s --timeout 5s "http://$PREFIX.1:8080/" >"$LAB_RUN/wrk" 2>&1 &
    wrk=$!
    clients=()
    for i in 1 2 3 4; do
        (
            n=0
            while [ ! -e "$LAB_RUN/stop" ]; do
                host=$((i % 3 + 1))
                if out=$(in_host "$host" curl -sS --max-time 5 "http://$PREFIX.$((n % 3 + 1)):8080/" 2>&1); then
                    n=$((n + 1))
                else
                    echo "$(date +%T.%N) $out" >>"$LAB_RUN/bad$i"
                fi
            done
            echo $n >"$LAB_RUN/good$i"
        ) &
        clients+=($!)
    done
}
clients_stop() {
    touch "$LAB_RUN/stop"
    wait "${clients[@]}"
    kill -INT "$wrk"
    wait "$wrk"
    good=$(cat "$LAB_RUN"/good* | awk '{n += $1} END {print n}')
    echo "     $good requests one by one; wrk: $(grep -E 'requests in' "$LAB_RUN/wrk" | sed 's/^ *//')"
}
none_failed() {
    cat "$LAB_RUN"/bad* 2>/dev/null | head -5
    echo "$good requests"
    grep -E 'requests in|Socket errors|Non-2xx' "$LAB_RUN/wrk"
    grep -qE '^ +[1-9][0-9]{2,} requests in' "$LAB_RUN/wrk" && ! grep -qE 'Socket errors|Non-2xx' "$LAB_RUN/wrk" &&
        [ "$good" -gt 50 ] && ! ls "$LAB_RUN"/bad* >/dev/null 2>&1
}
says_version() { in_host 1 curl -sS --max-time 5 "http://$PREFIX.1:8080/" | grep -qx "version $1"; }

test_case "three replicas run" w 1 deploy -f "$(app 1 3 stop-first)"
clients_start
sleep 1
test_case "they are replaced, stop first" w 1 deploy -f "$(app 2 3 stop-first)"
sleep 2
clients_stop
test_case "no request failed" none_failed
test_case "the new ones answer" says_version 2

clients_start
test_case "a member is drained" w 1 node drain n3
sleep 2
clients_stop
test_case "no request failed meanwhile" none_failed
w 1 node activate n3 >/dev/null

test_case "one replica is left" w 1 deploy -f "$(app 2 1 start-first)"
clients_start
sleep 1
test_case "it is replaced, start first" w 1 deploy -f "$(app 3 1 start-first)"
sleep 2
on=$(tasks 1 load.web | jq -r '[.[] | select(.desired == "run")][0].node')
to=$([ "$on" = n2 ] && echo n1 || echo n2)
w 1 move load.web.1 "$to" >/dev/null
moved() { [ "$(tasks 1 load.web | jq -r '[.[] | select(.desired == "run" and .state == "running")] | map(.node) | unique | join(",")')" = "$to" ]; }
test_case "and moved" wait_for 30 "the move" moved
sleep 2
clients_stop
test_case "no request of one replica failed" none_failed
test_case "the newest answers" says_version 3
finish
