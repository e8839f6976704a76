#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks fill up: a leader hands leadership on, a follower takes no more entries, reads go on; where
# nobody has room changes are refused with the reason. With room again all goes on by itself.
. "$(dirname "$0")/lib.sh"

begin_disks full 3 200
write() { # write N NAME: an entry through member N
    w "$1" deploy --detach -f "$(
        compose "$2" <<YAML
name: $2
services:
  none: {image: "demo/none:1", deploy: {replicas: 0}}
YAML
    )"
}
index() { w "$1" status --json 2>/dev/null | jq '.[0].index'; }
has() { w "$1" ls --json 2>/dev/null | jq -r '.[].stack' | grep -qx "$2"; }
# leave N KIB: fill host N's disk but for so much
leave() {
    local free
    free=$(df --output=avail -k "$LAB_DATA/$1" | tail -1)
    fallocate -l $((free - $2))K "$LAB_DATA/$1/filler"
}
room() { rm -f "$LAB_DATA/$1/filler"; }
warned() { w "$1" status --json 2>/dev/null | jq -e '.[0].warnings[]' 2>/dev/null | grep -q "disk of n$2 is full"; }
not_warned() { ! warned "$@"; }
leads() { [ "$(leader "$1")" = "$2" ]; }
leads_not() { [ -n "$(leader "$1")" ] && [ "$(leader "$1")" != "$2" ]; }
alike() { [ "$(index 1)" = "$(index 2)" ] && [ "$(index 2)" = "$(index 3)" ]; }
listed_full() { [ "$(w "$1" node ls --json 2>/dev/null | jq -r '[.[] | select(.disk_full) | .name] | join(" ")')" = "$2" ]; }

test_case "there is room" write 1 first
test_case "a reserve was made" wait_for 30 "the reserve" [ -s "$LAB_DATA/1/reserve" ]
test_case "all have it" wait_for 30 "the same index" alike

# --- the leader's ---
old=$(leader 1)
other=$(follower "$old" 1 2 3)
leave "$old" 20000
test_case "the leader's disk is full: it says so" wait_for 30 "the warning" warned "$old" "$old"
test_case "another one leads" wait_for 30 "another leader" leads_not "$other" "$old"
test_case "all know whose disk it is" wait_for 30 "its name" listed_full "$other" "n$old"
test_case "changes go on" write "$other" second
test_case "and are in the others" wait_for 30 "the change" has "$other" second
test_case "the full one says why it cannot read what is new" says "disk of n$old is full" w "$old" ls
test_case "the full one still answers from its copy" w "$old" ls --stale
room "$old"
test_case "with room again it catches up" wait_for 30 "the same index" alike
test_case "and is listed as before" wait_for 30 "none full" listed_full "$old" ""
test_case "it reads what it missed" has "$old" second

# --- a follower's ---
lead=$(leader 1)
one=$(follower "$lead" 1 2 3)
leave "$one" 20000
test_case "a follower's disk is full: it says so" wait_for 30 "the warning" warned "$one" "$one"
at=$(index "$one")
for i in 1 2 3 4 5; do write "$lead" "f$i" >/dev/null; done
test_case "changes go on without it" has "$lead" f5
test_case "it takes none" [ "$(index "$one")" = "$at" ]
test_case "and stays a member that is up" [ "$(w "$lead" node inspect "n$one" --json | jq -r '.[0].status')" = up ]
test_case "the leader stays" leads "$lead" "$lead"
# To the last block, and a start on it.
room "$one"
leave "$one" 1000
daemon_kill "$one"
dd if=/dev/zero of="$LAB_DATA/$one/filler2" bs=64k 2>/dev/null
daemon_start "$one"
answers() { [ -n "$(index "$1")" ]; }
test_case "killed with no block left it starts again" wait_for 30 "an answer" answers "$one"
test_case "and says why it stands still" wait_for 30 "the warning" warned "$one" "$one"
rm -f "$LAB_DATA/$one/filler2"
room "$one"
test_case "with room again it has all" wait_for 60 "the same index" alike
test_case "its reserve is there again" wait_for 30 "the reserve" [ -s "$LAB_DATA/$one/reserve" ]

# --- all of them ---
for n in 1 2 3; do leave $n 20000; done
for n in 1 2 3; do wait_for 30 "the warning" warned $n $n >/dev/null; done
refused() { says "no changes for now: the leader n[123] has [0-9]+ MiB free in $LAB_DATA/[123] and needs" write "$(leader 1)" refused; }
test_case "no disk has room: changes are refused, and why" wait_for 40 "the reason" refused
lead=$(leader 1)
other=$(follower "$lead" 1 2 3)
refused_here() { says "no changes for now: the leader n[123] has [0-9]+ MiB free" write "$other" refused; }
test_case "also those that come through another member" wait_for 40 "the reason" refused_here
test_case "reads go on" has "$lead" f5
test_case "the refused one was not done" not has "$lead" refused
for n in 1 2 3; do room $n; done
test_case "with room again changes are taken" wait_for 40 "a change" write 1 last
test_case "all agree" wait_for 30 "the same index" alike
test_case "nothing acknowledged is lost" [ "$(w 2 ls --json | jq -r '[.[].stack] | sort | join(" ")')" = "f1 f2 f3 f4 f5 first last second" ]
disks_finish
