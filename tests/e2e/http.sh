#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The HTTP API by curl: verbs, tokens, errors, long polls, metrics (checked by promtool), TLS, a unix
# socket, and what is hostile.
. "$(dirname "$0")/lib.sh"

# Prometheus' own judge of metrics, out of Debian's package, which is not installed: it would start.
promtool=$top/build/prometheus/usr/bin/promtool
[ -x "$promtool" ] || {
    mkdir -p "$top/build/prometheus"
    (cd "$top/build/prometheus" && apt-get -qq -o APT::Sandbox::User=root download prometheus && dpkg-deb -x prometheus_*.deb .)
}

begin http 3
load busybox 1 2 3
app=$(compose shop <<'YAML'
name: shop
services:
  web: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s, deploy: {replicas: 3}}
YAML
)
other=$(compose blog <<'YAML'
name: blog
services:
  web: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s}
YAML
)
w 1 deploy -f "$app" >/dev/null
w 1 deploy -f "$other" >/dev/null
token() { w 1 token create -q --ttl 1h "$@" 2>/dev/null | tail -1; }
admin=$(token --role admin)
viewer=$(token --role viewer)
scoped=$(token --role viewer --stack shop)

url=http://127.0.0.1:7480
# get MEMBER TOKEN PATH [CURL-OPTION...]: the body; ask: the status
get() { in_host "$1" curl -s -m 40 ${2:+-H "Authorization: Bearer $2"} "${@:4}" "$url$3"; }
ask() { get "$@" -o /dev/null -w '%{http_code}'; }
is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }

test_case "it is alive" is "$(get 1 "" /healthz)" ok
test_case "and ready" is "$(get 2 "" /readyz)" ok
test_case "a verb by POST" is "$(get 1 "$viewer" /v1/task.list -d '{"name": "shop"}' | jq '.tasks | length')" 3
test_case "by GET" is "$(get 1 "$viewer" '/v1/task.list?name=shop.web.1' | jq -r '.tasks[0].name')" shop.web.1
test_case "as a member has it, without the leader" is "$(get 3 "$viewer" '/v1/service.list?stale=1' | jq '.services | length')" 2
test_case "a change" is "$(ask 2 "$admin" /v1/service.scale -d '{"name": "shop.web", "replicas": 2}')" 200
scaled() { [ "$(get 3 "$viewer" '/v1/task.list?name=shop' | jq '[.tasks[] | select(.desired == "run")] | length')" = 2 ]; }
test_case "is made" wait_for 10 "two tasks" scaled

test_case "nobody is refused" is "$(ask 1 "" /v1/task.list)" 401
test_case "and told what is needed" is "$(get 1 "" /v1/task.list | jq -r .error.code)" ERR_DENIED
test_case "a bad token" is "$(ask 1 wherry1-c-bad /v1/task.list)" 403
test_case "a viewer who would change" is "$(ask 1 "$viewer" /v1/service.scale -d '{"name": "shop.web", "replicas": 1}')" 403
test_case "a viewer of one stack sees that" is "$(get 1 "$scoped" /v1/service.list | jq -r '.services[].stack' | sort -u)" shop
test_case "what only the machine may" is "$(ask 1 "$admin" /v1/node.repair -d '{}')" 403
w 1 token create -q --role viewer --ttl 1h gone >"$LAB_RUN/gone" 2>/dev/null
w 1 token rm gone >/dev/null
test_case "a token that was taken back" is "$(ask 1 "$(tail -1 "$LAB_RUN/gone")" /v1/task.list)" 403

message() { jq -r .error.message; }
test_case "no such path" is "$(ask 1 "$viewer" /v2/x)" 404
test_case "no such verb" is "$(ask 1 "$viewer" /v1/task.fly)" 404
test_case "no such field" is "$(get 1 "$viewer" /v1/task.list -d '{"nme": 1}' | message)" "nme: there is no such field in filter_request"
test_case "a value of another kind" is "$(get 1 "$admin" /v1/service.scale -d '{"name": "a.b", "replicas": "2"}' | message)" "replicas: a whole number is wanted"
test_case "no JSON" is "$(get 1 "$viewer" /v1/task.list -d '{"name": ' | message | cut -c1-26)" "no JSON: line 1, column 9:"
test_case "what is not there" is "$(ask 1 "$viewer" /v1/service.inspect -d '{"name": "shop.none"}')" 404
test_case "another method" is "$(ask 1 "$viewer" /v1/task.list -X DELETE)" 405
head -c 3000000 /dev/zero | tr '\0' x >"$LAB_RUN/large"
test_case "a body that is too large" is "$(ask 1 "$viewer" /v1/task.list --data-binary "@$LAB_RUN/large")" 413
test_case "a path that leads out" is "$(ask 1 "$viewer" /v1/../../etc/passwd --path-as-is)" 404
garbage() { head -c 100000 /dev/urandom | in_host 1 timeout 5 bash -c 'cat >/dev/tcp/127.0.0.1/7480' 2>/dev/null; get 1 "" /healthz | grep -q ok; }
test_case "bytes that are no HTTP" garbage
many() { # more connections than it takes, which say nothing
    local i fds=()
    for i in $(seq 80); do in_host 1 timeout 4 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7480; sleep 3' & fds+=($!); done
    sleep 4
    for i in "${fds[@]}"; do wait "$i"; done
    get 1 "" /healthz | grep -q ok
}
test_case "connections that say nothing" many

# Once only: a retry with the same key.
key=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
get 1 "$admin" /v1/service.act -H "Idempotency-Key: $key" -d '{"name": "shop.web", "action": "restart"}' >/dev/null
get 2 "$admin" /v1/service.act -H "Idempotency-Key: $key" -d '{"name": "shop.web", "action": "restart"}' >/dev/null
restarts() { get 1 "$viewer" '/v1/service.inspect?name=shop.web' | jq .spec.restarts; }
test_case "a retry is done once" is "$(restarts)" 1
test_case "a key that is none" is "$(ask 1 "$admin" /v1/service.act -H "Idempotency-Key: x" -d '{}')" 400

# Events as they happen.
last=$(get 1 "$viewer" '/v1/event.list' | jq .last)
get 2 "$viewer" "/v1/event.list?after=$last&wait_ms=20000&kinds=stack" >"$LAB_RUN/poll" &
poll=$!
sleep 1
w 3 rm blog >/dev/null
wait $poll
test_case "a long poll ends with the event" is "$(jq -r '.events[0].text' "$LAB_RUN/poll")" "is being removed"

# The description of all of it.
get 1 "" /v1/openapi.json >"$LAB_RUN/openapi.json"
test_case "it is described" jq -e '.openapi == "3.0.3" and (.paths | length > 100)' "$LAB_RUN/openapi.json"
dangling() { [ "$(jq -r '[.. | objects | select(has("$ref")) | .["$ref"]] | unique | .[]' "$LAB_RUN/openapi.json" | grep schemas | sed 's,.*/,,' | while read -r name; do jq -e --arg n "$name" '.components.schemas | has($n)' "$LAB_RUN/openapi.json" >/dev/null || echo "$name"; done)" = "" ]; }
test_case "and nothing in it leads nowhere" dangling

# Metrics.
metrics() { get "$1" "" /metrics; }
test_case "metrics" wait_for 10 "them" eval 'metrics 1 | "$promtool" check metrics'
known() { # what the manual and the dashboard name is there
    local name all
    all=$(metrics "$node")
    for name in $(grep -ohE '\b(wherry|process)_[a-z_]+[a-z]' "$top/docs/monitoring.md" "$top/deploy/grafana/wherry.json" | sort -u); do
        grep -q "^# TYPE $name" <<<"$all" || { echo "there is no $name"; return 1; }
    done
}
of() { metrics "$1" | awk -v k="$2" '$1 == k {print $2}'; }
test_case "who leads" is "$(for n in 1 2 3; do of $n wherry_raft_is_leader; done | sort | tr -d '\n')" 001
test_case "tasks by their state" is "$(of 2 'wherry_tasks{state="running"}')" 2
node=$(get 1 "$viewer" '/v1/task.list?name=shop.web.1' | jq -r '.tasks[0].node' | tr -d n)
memory() { [ "$(of "$node" 'wherry_container_memory_bytes{stack="shop",service="web",task="shop.web.1"}')" -gt 10000 ]; }
test_case "what a container takes" wait_for 10 "its memory" memory
test_case "all that the manual and the dashboard name" known
daemon_kill 3
down() { [ "$(of 1 'wherry_node_up{node="n3"}')" = 0 ]; }
test_case "a member that is down" wait_for 20 "it" down
daemon_kill 2
unready() { [ "$(ask 1 "" /readyz)" = 503 ]; }
test_case "without a quorum it is not ready" wait_for 20 "that" unready
test_case "but alive" is "$(ask 1 "" /healthz)" 200
daemon_start 2
daemon_start 3
wait_for 30 "a leader" has_leader 1

# Elsewhere than on the loopback: TLS, and a token for all.
daemon_stop 2
daemon_start 2 --http "$PREFIX.2:7480"
encrypted() { [ "$(in_host 3 curl -sk -m 10 "https://$PREFIX.2:7480/healthz")" = ok ]; }
test_case "from elsewhere by TLS" wait_for 40 "it" encrypted
test_case "not without" not in_host 3 curl -sf -m 5 "http://$PREFIX.2:7480/healthz"
three() { [ "$(in_host 3 curl -sk -m 10 -H "Authorization: Bearer $viewer" "https://$PREFIX.2:7480/v1/node.list" | jq '.nodes | length')" = 3 ]; }
test_case "a verb" wait_for 20 "three members" three
test_case "metrics take a token there" is "$(in_host 3 curl -sk -m 10 -o /dev/null -w '%{http_code}' "https://$PREFIX.2:7480/metrics")" 401
test_case "and with one they come" is "$(in_host 3 curl -sk -m 10 -H "Authorization: Bearer $viewer" -o /dev/null -w '%{http_code}' "https://$PREFIX.2:7480/metrics")" 200

# A unix socket, whose owner is the check; and none at all.
daemon_stop 2
daemon_start 2 --http "unix:$LAB_RUN/2/api.sock"
test_case "a unix socket" wait_for 20 "it" eval '[ "$(curl -s --unix-socket "$LAB_RUN/2/api.sock" http://x/v1/node.list | jq ".nodes | length")" = 3 ]'
test_case "for root and the group alone" is "$(stat -c %a "$LAB_RUN/2/api.sock")" 660
daemon_stop 2
daemon_start 2 --http off
test_case "none at all" not ask 2 "" /healthz
daemon_stop 3
in_host 3 python3 -c "
import os, socket, time
open('$LAB_RUN/server', 'w').write(str(os.getpid()))
s = socket.socket(); s.bind(('127.0.0.1', 7480)); s.listen(1); time.sleep(60)" >/dev/null 2>&1 &
sleep 1
daemon_start 3
test_case "a port that is taken is no reason not to start" wait_for 20 "it" grep -q '127.0.0.1:7480 is taken' "$LAB_RUN/3.log"
kill "$(cat "$LAB_RUN/server")"
test_case "an address that is none" says "not ADDRESS:PORT, such as" in_host 3 timeout 20 "$WHERRY" node --data "$LAB_RUN/x" --run "$LAB_RUN/x" --http nonsense
test_case "a port that is taken, and was asked for" says "in use" in_host 1 timeout 20 "$WHERRY" node --data "$LAB_RUN/x" --run "$LAB_RUN/x" --http 127.0.0.1:7480
finish
