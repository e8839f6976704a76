#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster of three, then four: commands through any member, rollouts, lost leaders and hosts.
. "$(dirname "$0")/lib.sh"

begin cluster 3
load busybox 1 2 3

app() { # app REPLICAS VERSION
    compose app <<YAML
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do echo version \$\$VERSION; sleep 0.2; done"]
    environment: {VERSION: "$2"}
    stop_grace_period: 1s
    deploy: {replicas: $1}
  web2:
    image: demo/busybox:1
    command: ["sleep", "1000"]
    stop_grace_period: 1s
YAML
}

test_case "three members, one leader" members_up 3 3
test_case "deploy through the second member" w 2 deploy -f "$(app 3 one)"
test_case "the first member sees it" running_is 1 app.web 3
test_case "they are spread" [ "$(tasks 1 app.web | jq -r '.[].node' | sort -u | wc -l)" = 3 ]
test_case "app.web and app.web2 are two things" [ "$(tasks 1 app.web | jq -r '.[].service' | sort -u)" = app.web ]
test_case "a second deploy of the same file does nothing" grep -q 'Nothing to do' <(w 3 deploy -f "$(app 3 one)")
test_case "scale through the third" w 3 scale app.web=5
test_case "five run" wait_for 5 "five" running_is 2 app.web 5
nowhere=$(compose nowhere <<'YAML'
name: nowhere
services:
  none:
    image: demo/busybox:1
    deploy: {placement: {constraints: ["node.labels.no == such"]}}
YAML
)
at_once() { # each write through one member is in the read through the next that follows it
    local i
    w 1 deploy --detach -f "$nowhere" || return 1
    for i in $(seq 1 30); do
        w $((i % 3 + 1)) scale --detach nowhere.none="$i" >/dev/null || return 1
        [ "$(w $(((i + 1) % 3 + 1)) inspect nowhere.none --json | jq '.[0].replicas')" = "$i" ] || { echo "not $i"; return 1; }
    done
    w 2 rm --detach nowhere
}
test_case "what is written through one member is read through another at once" at_once
test_case "scale down" w 1 scale app.web=2
test_case "two run" wait_for 5 "two" running_is 2 app.web 2
test_case "plan says what changes" grep -q environment <(w 1 plan -f "$(app 2 two)")
test_case "rolling update" w 1 deploy -f "$(app 2 two)"
test_case "the new version runs" grep -q 'version two' <(w 2 logs app.web)
test_case "logs of one task through a member that has it not" grep -q 'version' <(w 3 logs app.web.1)

host_up 4
load busybox 4
test_case "a fourth joins" w 4 join "$PREFIX.2" --token "$(w 3 token -q)"
test_case "and catches up" wait_for 20 "member 4" members_up 4 4
test_case "and takes commands" w 4 scale app.web2=2
host_up 5 --name n4
test_case "a machine of the same name is refused" says 'n4' w 5 join "$PREFIX.2" --token "$(w 3 token -q)"
test_case "a bad token is refused" says 'token' w 5 join "$PREFIX.2" --token nonsense
host_down 5

# A leader that is lost: its daemon and its link, not its containers.
l=$(leader 1)
f=$(follower 1 2 3)
daemon_kill "$l"
test_case "the leader is killed, a write is taken" w "$f" scale app.web2=3
daemon_start "$l"
test_case "it is back" wait_for 20 "members" members_up "$f" 4
test_case "web2 has three" wait_for 20 "three" running_is "$l" app.web2 3

test_case "rm through the fourth" w 4 rm app
none_left() { local left; left=$(w 1 ls -q) && [ -z "$left" ]; }
test_case "nothing of it is left" none_left
test_case "no container is left" [ -z "$(ls -A "$LAB_DATA"/*/containers 2>/dev/null | grep -v :)" ]
finish
