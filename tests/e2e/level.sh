#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Members of different versions: what is new waits for all of them, and an old one never diverges.
. "$(dirname "$0")/lib.sh"
begin level 0
old=6 new=7 # levels: of the previous release, and of this one

level() { w "$1" status --json | jq '.[0].level'; }
level_is() { [ "$(level "$1")" = "$2" ]; }
log_says() { grep -qE -- "$2" "$LAB_RUN/$1.log"; }
is_down() { w "$1" node ls --json | jq -e --arg n "n$2" '.[] | select(.name == $n and .status == "down")' >/dev/null; }
is_up() { w "$1" node ls --json | jq -e --arg n "n$2" '.[] | select(.name == $n and .status == "up")' >/dev/null; }
dead() { ! daemon_alive "$1"; }
version_of() { w 1 node inspect "n$1" --json | jq -r '.[0].version'; }

# A cluster of the previous release.
for n in 1 2 3; do host_up "$n" --pretend-level $old; done
cluster_form 1 2 3 || exit 1
test_case "the previous release founds a cluster of its level" level_is 1 $old

# They are upgraded one after the other.
upgrade() {
    daemon_stop "$1"
    daemon_start "$1" --label "release=now"
}
up_3() { wait_for 30 "three members" members_up 1 3; }
upgrade 2
test_case "a member of this release runs among old ones" up_3
test_case "it says its version" wait_for 20 "its version" eval '[ "$(version_of 2)" != "$(version_of 1)" ]'
upgrade 1
wait_for 30 "three members" members_up 1 3 >/dev/null
level_stays() { for _ in 1 2 3 4 5; do level_is 1 $old && level_is 2 $old && level_is 3 $old || return 1; done; }
test_case "the level stays while one does not know it" level_stays

# The last one is off while the others have a quorum: it still has a vote.
upgrade 3
test_case "when all know it, it is raised" wait_for 30 "level $new" level_is 1 $new
everywhere() { level_is 2 $new && level_is 3 $new; }
test_case "everywhere" wait_for 30 "level $new" everywhere

# An old one that comes back must stop: the log has what it does not know.
file=$(compose app <<'YAML'
name: app
services:
  web: {image: "demo/none:1", deploy: {replicas: 0}}
  beside: {image: "demo/none:1", network_mode: service:web, deploy: {replicas: 0}}
YAML
)
test_case "what is new is used" w 1 deploy -d -f "$file"
daemon_stop 3
daemon_start 3 --pretend-level $old
test_case "a member that goes back to the old release stops" wait_for 30 "its end" dead 3
test_case "and says why" log_says 3 'too old for this cluster|wherry 0.6.0 is too old'
daemon_start 3 --label release=now
test_case "as this release it runs on" wait_for 30 "n3" is_up 1 3

# A machine with the old release cannot join.
host_up 4 --pretend-level $old
token=$(w 1 token -q)
test_case "an old machine may not join" says "too old for this cluster" w 4 join "$PREFIX.1:7400" --token "$token"
finish
