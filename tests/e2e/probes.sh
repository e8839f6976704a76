#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Probes over HTTP, TCP and gRPC, and what becomes of tasks that are unhealthy.
. "$(dirname "$0")/lib.sh"

begin probes 2
load busybox 1 2
file=$(compose app <<'YAML'
name: app
x-probe: &probe {interval: 500ms, timeout: 2s, retries: 2}
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "mkdir -p /www; echo well >/www/ok; exec httpd -f -p 8080 -h /www"]
    stop_grace_period: 0s
    x-wherry: {probe: {<<: *probe, http: {port: 8080, path: /ok}}}
  kept:
    image: demo/busybox:1
    command: ["sh", "-c", "mkdir -p /www; echo well >/www/ok; exec httpd -f -p 8080 -h /www"]
    stop_grace_period: 0s
    x-wherry: {on-unhealthy: keep, probe: {<<: *probe, http: {port: 8080, path: /ok}}}
  port:
    image: demo/busybox:1
    command: ["httpd", "-f", "-p", "9000"]
    network_mode: none
    stop_grace_period: 0s
    x-wherry: {probe: {<<: *probe, tcp: {port: 9000}}}
  host:
    image: demo/busybox:1
    command: ["httpd", "-f", "-p", "9001"]
    network_mode: host
    stop_grace_period: 0s
    x-wherry: {probe: {<<: *probe, http: {port: 9001, path: /none}}, on-unhealthy: keep}
  rpc:
    image: demo/busybox:1
    # An answer with the status SERVING: settings, headers, the message.
    command: ["sh", "-c", "while :; do printf '\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0\\1\\1\\4\\0\\0\\0\\1\\210\\0\\0\\7\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\2\\10\\1' | nc -l -p 50051; done"]
    stop_grace_period: 0s
    x-wherry: {probe: {<<: *probe, grpc: {port: 50051, service: shop}}}
  wrong:
    image: demo/busybox:1
    command: ["httpd", "-f", "-p", "8080"]
    stop_grace_period: 0s
    x-wherry: {probe: {<<: *probe, grpc: {port: 8080}}, on-unhealthy: keep}
YAML
)
w 1 deploy -d -f "$file" >/dev/null
health() { w 1 ps --json "app.$1" | jq -r '.[0].health'; }
restarts() { w 1 ps --json "app.$1" | jq '.[0].restarts'; }
message() { w 1 ps --json "app.$1" | jq -r '.[0].message'; }
is() { [ "$(health "$1")" = "$2" ]; }
test_case "HTTP: healthy" wait_for 30 "health" is web healthy
test_case "TCP: healthy without a network" wait_for 30 "health" is port healthy
test_case "gRPC: healthy" wait_for 30 "health" is rpc healthy
test_case "in the host's network it is asked too" wait_for 30 "its health" is host unhealthy
test_case "what it answered is said" grep -q 'GET /none: answered 404' <(message host)
test_case "what does not speak gRPC is not healthy" wait_for 30 "its health" is wrong unhealthy
test_case "and the reason is said" grep -q 'does not speak HTTP/2' <(message wrong)
test_case "nothing was restarted" [ "$(restarts web) $(restarts host)" = "0 0" ]

wait_for 30 "health" is kept healthy
w 1 exec app.web.1 rm /www/ok
w 1 exec app.kept.1 rm /www/ok
again() { [ "$(restarts web)" -ge 1 ] && is web healthy; }
test_case "unhealthy it is restarted, and healthy again" wait_for 40 "its restart" again
test_case "unless it is to be kept" wait_for 30 "its health" is kept unhealthy
sleep 3
test_case "which it is" [ "$(restarts kept)" = 0 ]

bad=$(compose bad <<'YAML'
name: bad
services:
  a: {image: x, x-wherry: {probe: {http: {path: /}}}}
  b: {image: x, x-wherry: {probe: {http: {port: 80, path: "a b"}}}}
  c: {image: x, healthcheck: {test: ["CMD", "true"]}, x-wherry: {probe: {tcp: {port: 80}}}}
  d: {image: x, x-wherry: {probe: {interval: 1s}}}
YAML
)
for why in "needs a port" "without blanks" "keep one of them" "needs one of http, tcp and grpc"; do
    test_case "refused: $why" says "$why" w 1 deploy -f "$bad"
done
finish
