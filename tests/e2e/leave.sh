#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Members that stop, leave, come again, and take the place of a dead one.
. "$(dirname "$0")/lib.sh"

begin leave 3
load busybox 1 2 3
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 3}
YAML
)
test_case "deploy" w 1 deploy -f "$file"
containers() { ls "$LAB_DATA/$1/containers" 2>/dev/null | wc -l; }
none() { [ "$(containers "$1")" = 0 ]; }
names() { w "$1" node ls --json | jq -r '[.[].name] | sort | join(" ")'; }
names_are() { [ "$(names "$1")" = "$2" ]; }
voters_are() { [ "$(w "$1" node ls --json | jq '[.[] | select(.votes)] | length')" = "$2" ]; }
wait_for 20 "three voters" voters_are 1 3

# --- a planned stop: the others need not miss the leader first ------------------------------------
l=$(leader 1)
f=$(follower 1 2 3)
term() { w "$1" status --json | jq '.[0].term'; }
before=$(term "$f")
daemon_stop "$l"
test_case "a leader that is stopped hands on first" grep -q 'leadership handed on after' "$LAB_RUN/$l.log"
other() { [ -n "$(leader "$f")" ] && [ "$(leader "$f")" != "$l" ]; }
test_case "another one leads" wait_for 20 "a leader" other
test_case "one term later" [ "$(term "$f")" = $((before + 1)) ]
daemon_start "$l"
test_case "it comes back" wait_for 20 "three" members_up "$f" 3
test_case "one that does not lead just stops" daemon_stop "$l"
daemon_start "$l"
wait_for 20 "three" members_up "$f" 3
wait_for 20 "three voters" voters_are "$f" 3

wait_for 20 "its leader" has_leader 1

# --- leave ----------------------------------------------------------------------------------------
l=$(leader 1)
f=$(follower 1 2 3)
test_case "who leaves is told what it costs" says 'Without n. the cluster has 1 voter, of which 1 must be up.*now 1 more may be lost' w "$l" leave
test_case "and stays" names_are "$f" "n1 n2 n3"
test_case "the leader leaves" w "$l" leave --yes
test_case "the others are two" names_are "$f" "$(seq 3 | grep -v "$l" | sed 's/^/n/' | paste -sd' ')"
test_case "one of them votes" wait_for 20 "one voter" voters_are "$f" 1
test_case "its containers ended" none "$l"
three() { running_is "$f" app.web 3; }
test_case "its task runs elsewhere" wait_for 20 "three" three
test_case "its daemon is in no cluster" grep -q 'in no cluster' <(w "$l" status)
test_case "its keys and its log are gone" [ ! -e "$LAB_DATA/$l/raft" ]
test_case "there is nothing to leave any more" says 'in no cluster' w "$l" leave --yes
rejoin() { w "$l" join "$PREFIX.$f" --token "$(w "$f" token -q)" && wait_for 20 "three" members_up "$f" 3; }
test_case "it joins again, as a new member" rejoin
test_case "with a new id" [ "$(w "$f" node inspect "n$l" | jq '.[0].id')" = 4 ]
load busybox "$l"
test_case "changes go on" w "$l" scale app.web=6
# What is started by a daemon that started anew has the rank of what others start.
ranks() { # ranks N: of the processes of its containers
    local p
    for p in $(cat /sys/fs/cgroup/*/"$(host_cgroup "$1")"/container/*/cgroup.procs 2>/dev/null | sort -u); do
        sed 's/.*) //' "/proc/$p/stat" | cut -d' ' -f17
    done | sort -u
}
test_case "its containers rank as the others' do" eval '[ -n "$(ranks "$l")" ] && [ "$(ranks "$l")" = "$(ranks "$f")" ]'

# --- a dead one's place ---------------------------------------------------------------------------
wait_for 20 "three voters" voters_are "$f" 3
l=$(leader "$f")
d=$(follower 1 2 3)
host_kill "$d"
rm -rf "${LAB_DATA:?}/$d"
host_boot "$d"
token=$(w "$l" token -q)
down() { w "$l" node ls --json | jq -e '.[] | select(.name == "n'"$d"'") | .status == "down"'; }
test_case "its disk was wiped: its name is taken" says "a member named n$d exists.*--name" w "$d" join "$PREFIX.$l" --token "$token"
wait_for 20 "down" down
test_case "it says which command helps" says "wherry join --replace" w "$d" join "$PREFIX.$l" --token "$token"
test_case "it takes the place of the dead one" w "$d" join --replace "$PREFIX.$l" --token "$token"
test_case "three members are up" wait_for 20 "three" members_up "$l" 3
test_case "of one name each" names_are "$l" "n1 n2 n3"
test_case "three vote" wait_for 20 "three voters" voters_are "$l" 3
host_net 9
daemon_start_as() { # a machine with the name of another one
    mkdir -p "$LAB_RUN/9" "$LAB_DATA/9"
    printf '%s\n' --name "n$l" >"$LAB_RUN/9.options"
    daemon_start 9
}
daemon_start_as
test_case "a name that is in use is refused" says "n$l.*is up.*--name" w 9 join "$PREFIX.$l" --token "$token"
test_case "and not replaced" says "n$l.*is up" w 9 join --replace "$PREFIX.$l" --token "$token"

# --- two members, the voter leaves ----------------------------------------------------------------
l=$(leader 1)
f=$(follower 1 2 3)
test_case "one leaves" w "$f" leave --yes
rest=$(seq 3 | grep -vE "^($l|$f)\$")
wait_for 20 "one voter" voters_are "$l" 1
voter=$(w "$rest" node ls --json | jq -r '.[] | select(.votes) | .name' | tr -d n)
last=$(printf '%s\n' "$l" "$rest" | grep -v "^$voter\$")
test_case "the only voter leaves" w "$voter" leave --yes
alone() { [ "$(w "$last" node ls --json | jq -r 'map(.name + " " + .role) | join(",")')" = "n$last voter" ]; }
test_case "the other one is alone" wait_for 20 "alone" alone
test_case "and takes changes" w "$last" scale --detach app.web=1
test_case "the last one cannot leave" says 'last member' w "$last" leave --yes
active() { [ "$(w "$last" node inspect "n$last" | jq -r '.[0].availability')" = active ]; }
test_case "and was not drained for it" active
test_case "daemons ended with nothing left behind" not grep -h 'left on the loop' "$LAB_RUN"/*.log
finish
