#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The power goes right after changes were acknowledged: the members' data are on an ext4 each, which is
# shut down without its journal being flushed. Nothing acknowledged is missing afterwards, and every
# member starts, however the cut left its files.
# usage: [CYCLES=4] tests/fault/power.sh
. "$(dirname "$0")/lib.sh"

cycles=${CYCLES:-4}
driver=$top/build/release/tests/e2e/imagedriver
writer=$top/build/release/tests/fault/writer
for program in "$driver" "$writer"; do
    [ -x "$program" ] || { echo "$program is missing: make $program"; exit 2; }
done
begin_disks power 3 96
acknowledged() { cat "$LAB_RUN"/acknowledged.* 2>/dev/null; }

small() {
    compose "$1" <<YAML
name: $1
services:
  none: {image: "demo/none:1", deploy: {replicas: 0}}
YAML
}
# Write without a pause through member N, noting what was acknowledged.
write() { exec "$writer" "$LAB_RUN/acknowledged.$2" "$2x" 600 "$LAB_RUN/$1/wherry.sock" >/dev/null 2>&1; } # write N TAG
power_cut() { "$driver" "$LAB_DATA/$1" - cut >/dev/null 2>&1; }
# The machine is off: what it did not write is gone, and its journal is replayed at the next start.
off() { power_cut "$1"; daemon_kill "$1"; host_unmount "$1"; umount "$LAB_DATA/$1" || umount -l "$LAB_DATA/$1"; }
on() { disk_mount "$1" && daemon_start "$1"; }
index() { w "$1" status --json 2>/dev/null | jq '.[0].index'; }
alike() { [ -n "$(index 1)" ] && [ "$(index 1)" = "$(index 2)" ] && [ "$(index 2)" = "$(index 3)" ]; }
more_than() { [ "$(acknowledged | wc -l)" -gt "$1" ]; }
all_there() {
    local n lost
    for n in 1 2 3; do
        lost=$(comm -23 <(acknowledged | sort) <(w $n ls --stale --json | jq -r '.[].stack' | sort))
        [ -z "$lost" ] || { echo "n$n lacks: $lost"; return 1; }
    done
}
# That the last write was torn is no more than a word in the log.
damaged() { grep -h "ERROR repair\|is damaged\|lost entries" "$LAB_RUN"/[123].log | grep -v 'INFO raft: .*torn and was not acknowledged'; }

bad=''
for cycle in $(seq "$cycles"); do
    write $((cycle % 3 + 1)) "a$cycle" &
    one=$!
    write $(((cycle + 1) % 3 + 1)) "b$cycle" &
    two=$!
    before=$(acknowledged | wc -l)
    # Not before something was acknowledged, then at some moment.
    wait_for 30 "a change" more_than $((before + 3)) >/dev/null
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    if [ $((cycle % 3)) = 0 ]; then victims=$((cycle / 3 % 3 + 1)); else victims="1 2 3"; fi
    for n in $victims; do power_cut "$n"; done
    for n in $victims; do off "$n"; done
    kill $one $two 2>/dev/null
    wait $one $two 2>/dev/null
    for n in $victims; do on "$n"; done
    # Members know what was committed when one of them leads, not before: a read that is not stale.
    wait_for 60 "a leader" w 1 ls >/dev/null || { bad+=" $cycle:leaderless"; break; }
    wait_for 60 "the same index" alike >/dev/null || { bad+=" $cycle:apart"; break; }
    all_there >"$LAB_RUN/lost" || { bad+=" $cycle:lost"; cat "$LAB_RUN/lost"; break; }
done
test_case "after each of $cycles cuts all members start and have what was acknowledged" [ -z "$bad" ]
test_case "no cut was taken for damage" not damaged
test_case "many changes were acknowledged" more_than $((4 * cycles))
echo "     ($(acknowledged | wc -l) acknowledged)"
test_case "changes are taken" w 1 deploy --detach -f "$(small last)"
disks_finish
