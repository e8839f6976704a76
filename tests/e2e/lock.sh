#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lock: no cluster key on any disk; a member that starts again votes, runs its tasks and waits to
# be opened.
. "$(dirname "$0")/lib.sh"
begin lock 3
load busybox 1 2 3

identity() { echo "$LAB_DATA/$1/identity"; }
on_disk() { ls "$LAB_DATA"/*/identity/cluster.key 2>/dev/null | wc -l; }
none_on_disk() { [ "$(on_disk)" = 0 ]; }
all_on_disk() { [ "$(on_disk)" = 3 ]; }
state() { w "$1" status --json | jq -r '.[0].lock'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
not_on_any_disk() { # not_on_any_disk HEX: neither as text nor as bytes
    ! grep -rqaF "$1" "$LAB_DATA" && ! grep -rqP "$(sed 's/../\\x&/g' <<<"$1")" "$LAB_DATA"
}
web() {
    compose app <<'YAML'
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "1000000"]
    deploy: { mode: global }
YAML
}

file=$(web)
test_case "something runs everywhere" w 1 deploy app -f "$file"
test_case "on three members" running_is 1 app.web 3
old=$(tail -1 "$(identity 1)/cluster.key" | cut -d' ' -f2)
key=$(w 1 lock on -q)
test_case "locking prints an unlock key" grep -qE '^WHRU-[0-9a-f]{32}-[0-9a-f]{4}$' <<<"$key"
test_case "no member has the cluster key on its disk" wait_for 30 "no key" none_on_disk
test_case "the key of before is in no file either" not_on_any_disk "$old"
test_case "nor is the unlock key" not_on_any_disk "$(cut -c6-37 <<<"$key")"
test_case "it cannot be locked twice" says 'the lock is on already' w 2 lock on
test_case "an open member shows the unlock key" [ "$(w 3 lock key)" = "$key" ]
test_case "tokens and machines as ever" eval 'token=$(w 1 token -q) && host_up 4 && w 4 join "$PREFIX.1" --token "$token"'
test_case "the new member is open" wait_for 30 "it is open" state_is 4 on
test_case "and keeps no key on its disk" none_on_disk

# A member starts again.
daemon_kill 2
daemon_start 2
test_case "a member that starts again is locked" wait_for 30 "it is locked" state_is 2 locked
test_case "the status says what to do" grep -q "wherry unlock" <(w 2 status)
test_case "it votes and is up" wait_for 30 "members" members_up 1 4
test_case "its task runs on; the new member got the image from the others" wait_for 30 "tasks" running_is 2 app.web 4
test_case "it shows no unlock key" says 'is locked since it started' w 2 lock key
test_case "it changes no key" says 'is locked since it started' w 2 key rotate
test_case "it makes nobody a member" says 'is locked since it started' eval 'token=$(w 1 token -q) && host_up 5 && w 5 join "$PREFIX.2" --token "$token"'
test_case "another makes it a certificate of a new CA" w 1 ca rotate
test_case "which takes over" w 1 ca rotate --finish --yes
test_case "a slip is told from a wrong key" says 'has a slip in it' w 2 unlock <<<"${key%?}x"
test_case "another unlock key does not open it" says 'not the unlock key of the cluster' w 2 unlock <<<"WHRU-0ba03bb1ae741115febd94fc46a33684-82c3"
test_case "it cannot be tried as fast as one likes" says 'wait a second' w 2 unlock <<<"$key"
echo "$key" >"$LAB_RUN/key"
test_case "the unlock key opens it" wait_for 10 "it opens" w 2 unlock --key-file "$LAB_RUN/key"
rm "$LAB_RUN/key"
test_case "it is open" state_is 2 on
test_case "with no key on its disk" none_on_disk
test_case "it changes the key" wait_for 30 "key rotate" w 2 key rotate
test_case "the unlock key is as it was" [ "$(w 1 lock key)" = "$key" ]

# All at once: nobody has the key any more but who keeps the unlock key.
new=$(w 1 lock rotate -q)
test_case "another unlock key is made" [ "$new" != "$key" ]
for n in 1 2 3 4; do daemon_kill $n; done
for n in 1 2 3 4; do daemon_start $n; done
test_case "all have started again and have a leader" wait_for 30 "a leader" has_leader 3
all_locked() { for n in 1 2 3 4; do state_is $n locked || return 1; done; }
test_case "all are locked" wait_for 30 "all locked" all_locked
test_case "writes go on" wait_for 30 "a write" w 3 token create -q
test_case "the unlock key of before opens nothing" says 'not the unlock key of the cluster' w 1 unlock <<<"$key"
test_case "the new one does" wait_for 10 "it opens" eval 'w 1 unlock <<<"$new"'
test_case "most must be open for a change of the key" says 'only 1 of the 4 members' w 1 lock off
for n in 2 3 4; do w $n unlock <<<"$new" >/dev/null; done
test_case "the lock is taken off" w 2 lock off
has_all() { [ "$(on_disk)" = 4 ]; }
test_case "all have the key on disk" wait_for 30 "keys" has_all
daemon_kill 3
daemon_start 3
test_case "a member that starts again is open" wait_for 30 "it is open" eval '[ "$(w 3 status --json | jq -r ".[0].key")" = held ]'
finish
