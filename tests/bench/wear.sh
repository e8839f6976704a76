#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a change writes: three members, each with its data on an ext4 of its own, whose block device
# counts writes, bytes and flushes; what the file system adds is in it. Prints a table; nothing is
# judged.
#
#   wear.sh        BENCH_SECONDS=5 for each row
# shellcheck source=tests/fault/lib.sh
. "$(dirname "$0")/../fault/lib.sh"
load=$top/build/release/tests/bench/load
seconds=${BENCH_SECONDS:-5}
[ -x "$load" ] || { echo "$load is missing: make $load"; exit 2; }
begin_disks wear 3 300

# device N: what its file system is on; counts N: writes, KiB, flushes so far
device() { basename "$(findmnt -no SOURCE "$LAB_DATA/$1")"; }
counts() { awk '{print $5, $7 / 2, $16}' "/sys/block/$(device "$1")/stat"; }
index() { w "$1" status --json | jq '.[0].index'; }
settle() { sync -f "$LAB_DATA/1"; sync -f "$LAB_DATA/2"; sync -f "$LAB_DATA/3"; }
sockets=()
for n in 1 2 3; do sockets+=("$LAB_RUN/$n/wherry.sock"); done
w 1 deploy --detach -f "$(
    compose none <<'YAML'
name: none
services:
  where:
    image: demo/busybox:1
    deploy:
      placement: {constraints: ["node.labels.nowhere == true"]}
YAML
)" >/dev/null || exit 1

# row WHAT CALLERS: of a member, on the average of the three
row() {
    local what=$1 n rate changes before=() after=()
    settle
    for n in 1 2 3; do before[n]=$(counts $n); done
    rate=$("$load" wherry none.where "$2" "$seconds" "${sockets[@]}" | cut -d' ' -f1)
    settle
    for n in 1 2 3; do after[n]=$(counts $n); done
    # The load measures its last seconds; half a second of warming up writes as well.
    changes=$(awk -v r="$rate" -v s="$seconds" 'BEGIN {print r * (s + 0.5)}')
    for n in 1 2 3; do echo "${before[n]} ${after[n]}"; done | awk -v what="$what" -v c="$changes" -v rate="$rate" '
        {w += $4 - $1; k += $5 - $2; f += $6 - $3}
        END {printf "| %s | %d | %.2f | %.1f | %.2f |\n", what, rate, w / 3 / c, k / 3 / c, f / 3 / c}'
}
echo "| what | changes a second | writes a change | KiB a change | flushes a change |"
echo "| --- | --: | --: | --: | --: |"
row "1 caller" 1
row "8 callers" 8
row "64 callers" 64
# After the last write-back nothing moves.
idle() {
    local n before after
    settle
    sleep 35
    before=$(for n in 1 2 3; do counts $n; done)
    sleep 20
    after=$(for n in 1 2 3; do counts $n; done)
    [ "$before" = "$after" ] && echo "idle for 20 s: nothing" || { echo "idle for 20 s: $before -> $after"; }
}
idle
disks_finish
