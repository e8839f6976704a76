#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Events: what happened, in order, once each, from any member, over restarts and lost leaders.
. "$(dirname "$0")/lib.sh"

begin events 3
load busybox 1 2 3
app() {
    compose shop <<YAML
name: shop
services:
  web: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s, deploy: {replicas: $1}}
YAML
}
other=$(compose blog <<'YAML'
name: blog
services:
  web: {image: "demo/busybox:1", command: ["sh", "-c", "echo hello; exit 3"], deploy: {restart_policy: {condition: none}}}
YAML
)
start=$(date +%s)
sleep 1.1
w 1 deploy -f "$(app 2)" >/dev/null
w 1 deploy -d -f "$other" >/dev/null
failed() { w 2 events blog | grep -q 'task .*blog\.web\.1 .*failed with status 3'; }
test_case "what happens is told" wait_for 20 "the failure" failed
w 1 events -f --json >"$LAB_RUN/follow.json" 2>"$LAB_RUN/follow.err" &
follower=$!
text() { w "$1" events --json "${@:2}" | jq -r '"\(.kind) \(.object) \(.text)"'; }
says_all() { grep -q "$1" <<<"$(text 3)"; }
test_case "a deploy" says_all '^stack shop deployed, revision 1'
test_case "a service" says_all '^service shop.web created'
test_case "a task is placed" says_all '^task shop.web.1 placed on n[123]'
test_case "and runs" says_all '^task shop.web.1 running on n[123]'
test_case "a member" says_all '^node n3 joined'
same() { [ "$(text 1)" = "$(text 2)" ] && [ "$(text 2)" = "$(text 3)" ]; }
test_case "the same on every member" wait_for 10 "the same" same
ordered() { w 2 events --json | jq -s -e '[.[].id] == ([.[].id] | sort | unique)' >/dev/null; }
test_case "in order, once each" ordered
test_case "of one stack" [ "$(text 2 shop | grep -vc ' shop')" = 0 ]
test_case "of one service" [ "$(text 2 shop.web | grep -c '^stack')" = 0 ]
test_case "of one kind" [ "$(text 2 --filter kind=node | grep -vc '^node')" = 0 ]
test_case "of two kinds" [ "$(text 2 --filter kind=node --filter kind=stack | cut -d' ' -f1 | sort -u | tr '\n' ' ')" = "node stack " ]
test_case "a kind that there is not" says "is not name=NAME, or kind= one of" w 1 events --filter kind=cat
test_case "since then" [ "$(text 1 --since "$start" | grep -c '^cluster')" = 0 ]
test_case "until then" [ "$(text 1 --until "$start" | grep -c '^stack')" = 0 ]
test_case "a time that is none" says "option --since needs a time such as 10m" w 1 events --since never
test_case "the last ones" [ "$(text 1 -n 3 | wc -l)" = 3 ]
test_case "as lines" [ -n "$(w 1 events -n 1 --filter kind=stack | grep -E '^20[0-9-]+ [0-9:.]+  stack    (shop|blog) +  deployed')" ]

# Who may see what.
w 1 token create --role viewer --stack shop eyes --ttl 1h >/dev/null 2>&1
seen() { # as a viewer of shop
    local token
    token=$(w 1 token create -q --role viewer --stack shop --ttl 1h 2>/dev/null | tail -1)
    [ -n "$token" ] || return 1
    in_host 2 env WHERRY_TOKEN="$token" WHERRY_HOST="$PREFIX.1:7401" "$WHERRY" events --json | jq -r .object | sort -u
}
scoped() { local all; all=$(seen) && grep -q '^shop.web' <<<"$all" && ! grep -q '^blog' <<<"$all" && grep -q '^n1' <<<"$all"; }
test_case "a viewer of one stack sees that" scoped

# A follower goes on over what members go through.
w 1 scale shop.web=3 >/dev/null
l=$(leader 1)
[ "$l" = 1 ] || { daemon_kill "$l"; sleep 3; daemon_start "$l"; }
wait_for 20 "a leader" has_leader 1
w 1 scale shop.web=1 >/dev/null
followed() { jq -s -e 'any(.[]; .text == "scaled from 3 to 1")' "$LAB_RUN/follow.json" >/dev/null; }
test_case "who follows is told, too" wait_for 20 "it" followed
gapless() { # all that there is from its first on, and nothing twice
    local first
    first=$(head -1 "$LAB_RUN/follow.json" | jq .id)
    diff <(jq .id "$LAB_RUN/follow.json") <(w 1 events --json | jq --argjson f "$first" 'select(.id >= $f) | .id' | head -"$(wc -l <"$LAB_RUN/follow.json")")
}
test_case "each event once, in order" gapless
kill $follower 2>/dev/null

ids() { w 1 events --json | jq -c '[.id, .text]' | md5sum; }
before=$(w 1 events -n 1 --json | jq .id)
for n in 1 2 3; do daemon_kill $n; done
for n in 1 2 3; do daemon_start $n; done
wait_for 30 "a leader" has_leader 1
kept() { w 2 events --json | jq -s -e --argjson b "$before" 'any(.[]; .id == $b) and .[0].id == 1' >/dev/null; }
test_case "all is kept when all were killed" kept

# Lines of logs by time.
w 1 deploy -f "$(compose talk <<'YAML'
name: talk
services:
  web: {image: "demo/busybox:1", command: ["sh", "-c", "echo first; sleep 3; echo second; sleep 100000"], stop_grace_period: 0s}
YAML
)" >/dev/null
wrote() { w 1 logs talk.web | grep -q second; }
wait_for 15 "its lines" wrote
at=$(w 1 logs -t talk.web.1 | awk '/second/ {print $1}')
test_case "logs since then" [ "$(w 2 logs --since "${at%Z}Z" talk.web.1)" = second ]
test_case "logs until then" [ "$(w 2 logs --until "$(date -d "${at} - 1 second" -u +%Y-%m-%dT%H:%M:%SZ)" talk.web.1)" = first ]
finish
