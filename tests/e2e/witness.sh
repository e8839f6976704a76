#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two members and a witness: it votes, runs nothing, holds no keys, and any one of the three may be lost.
. "$(dirname "$0")/lib.sh"

begin witness 2
load busybox 1 2
host_up 3 --witness
test_case "a witness cannot found a cluster" says 'a witness cannot be the first member' w 3 init
token=$(w 1 token create --join --witness -q)
test_case "two members have one voter" grep -q '1 of 1 up, 1 needed, 0 more may fail' <(w 1 status)
host_up 4
test_case "a witness's token lets no full member in" says 'is for a witness' w 4 join "$PREFIX.1" --token "$token"
test_case "the witness joins" w 3 join "$PREFIX.1" --token "$token"
voters() { [ "$(w "$1" node ls --json | jq -r '[.[] | select(.votes) | .name] | sort | join(" ")')" = "$2" ]; }
test_case "all three vote" wait_for 20 "voters" voters 1 "n1 n2 n3"
test_case "it is shown as a witness" grep -qE 'n3 +up +witness ' <(w 1 node ls)
test_case "one may be lost" grep -q '3 of 3 up, 2 needed, 1 more may fail' <(w 3 status)

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "echo hello; sleep 100000"]
    stop_grace_period: 1s
    deploy: {replicas: 4}
  everywhere:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {mode: global}
YAML
)
test_case "deploy, through the witness" w 3 deploy -f "$file"
on() { w 1 ps --json | jq "[.[] | select(.node == \"$1\")] | length"; }
test_case "nothing runs on it" [ "$(on n3)" = 0 ]
test_case "a global service is on the other two" running_is 1 app.everywhere 2
test_case "logs are read through it" grep -q hello <(w 3 logs app.web)
test_case "it has no images" says 'is a witness and has no images' w 3 image ls
test_case "it has no keys but its own" [ -z "$(ls "$LAB_DATA/3/identity" | grep -E '^(ca\.key|cluster)')" ]
test_case "the cluster key is somewhere else" [ -n "$(ls "$LAB_DATA/2/identity" | grep -E '^cluster')" ]
test_case "it has no network of containers" not in_host 3 ip link show wherry0
test_case "the others have" in_host 2 ip link show wherry0
# Of its own, without the libraries, which are shared.
memory() { awk '/^RssAnon/ {print $2}' "/proc/$(daemon_pid "$1")/status"; }
echo "     a witness takes $(memory 3) KB, a full member $(memory 2) KB"
test_case "it takes little memory" [ "$(memory 3)" -lt 6000 ] # KB

join_through() { w 4 join "$PREFIX.3" --token "$(w 1 token -q)"; }
test_case "it lets nobody in: another member does" says 'is a witness.*call another member' join_through

# --- losses ---------------------------------------------------------------------------------------
# The witness leads for a moment: the other full member is away when the leader goes.
l=$(leader 1)
f=$(follower 1 2)
kill -STOP "$(daemon_pid "$f")"
kill -STOP "$(daemon_pid "$l")"
alone() { w 3 status --json | jq -e '.[0].leader == null or .[0].leader == ""'; }
wait_for 20 "no leader" alone
kill -CONT "$(daemon_pid "$f")"
full_leads() { [ "$(w 3 node ls --stale --json | jq -r '.[] | select(.leader) | .name')" = "n$f" ]; }
test_case "when the leader is away the other full member leads" wait_for 30 "a leader" full_leads
kill -CONT "$(daemon_pid "$l")"
wait_for 20 "three" members_up "$f" 3
changes() { w "$1" scale --detach "app.web=$2"; }
test_case "changes go on" changes 3 3

l=$(leader 3)
f=$(follower 1 2)
host_kill "$l"
full_leads() { [ "$(leader 3)" = "$f" ]; }
test_case "the leader is lost: the other one leads" wait_for 30 "a leader" full_leads
test_case "and takes changes" changes 3 4
all() { running_is 3 app.web 4; }
test_case "all runs there" wait_for 30 "four" all
host_boot "$l"
wait_for 30 "three" members_up "$f" 3

daemon_kill 3
test_case "the witness is lost: changes go on" changes 1 3
rm "$LAB_RUN/3.options"
daemon_start 3
test_case "started without --witness it is still one" wait_for 30 "three" members_up 1 3
test_case "and is shown so" grep -qE 'n3 +up +witness ' <(w 1 node ls)
daemon_stop 2
test_case "a full member is no witness" says 'joined its cluster as a full member' \
    in_host 2 "$WHERRY" node --name n2 --data "$LAB_DATA/2" --run "$LAB_RUN/2" --address "$PREFIX.2" --witness
daemon_start 2
wait_for 30 "three" members_up 1 3
daemon_stop 3
test_case "no cluster is recovered from a witness" says 'is a witness' "$WHERRY" recover --yes --data "$LAB_DATA/3"
daemon_start 3
wait_for 30 "three" members_up 1 3
test_case "the witness leaves" w 3 leave --yes
test_case "one voter remains" wait_for 20 "one voter" eval '[ "$(w 1 node ls --json | jq "[.[] | select(.votes)] | length")" = 1 ]'
test_case "daemons ended with nothing left behind" not grep -h 'left on the loop' "$LAB_RUN"/*.log
finish
