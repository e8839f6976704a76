#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a member keeps on disk is damaged while it is off: it says which file and does not start with
# less than it had; the others go on; with the file as it was it comes back.
. "$(dirname "$0")/../e2e/lib.sh"

begin disk 3
# Counted in a file: cases run in shells of their own.
written() { cat "$LAB_RUN/written" 2>/dev/null || echo 0; }
write() { # write N: some entries through member N
    local i stack
    for i in 1 2 3 4 5; do
        stack=$(($(written) + 1))
        w "$1" deploy --detach -f "$(
            compose "s$stack" <<YAML
name: s$stack
services:
  none: {image: "demo/none:1", deploy: {replicas: 0}}
YAML
        )" >/dev/null || return 1
        echo "$stack" >"$LAB_RUN/written"
    done
}
index() { w "$1" status --json 2>/dev/null | jq '.[0].index'; }
raft=$LAB_DATA/2/raft
progress() { awk '{print $3}' "$raft/progress" 2>/dev/null; }
progress_has() { [ "$(progress)" -ge "$1" ]; }

test_case "entries are written" write 1
at=$(index 1)
test_case "the second member knows that they are committed" wait_for 20 "progress" progress_has "$((at - 1))"

# start_fails WORDS...: host 2's daemon ends by itself, and its message has all these words
start_fails() {
    local out rv word
    out=$(in_host 2 timeout 15 "$WHERRY" node --name n2 --data "$LAB_DATA/2" --run "$LAB_RUN/2" --address "$PREFIX.2" 2>&1)
    rv=$?
    [ $rv -ne 0 ] && [ $rv -ne 124 ] || { echo "it runs ($rv): $out"; return 1; }
    for word; do
        grep -qF -- "$word" <<<"$out" || { echo "no word of $word: $out"; return 1; }
    done
    [ $rv -lt 128 ] || { echo "it crashed ($rv): $out"; return 1; }
}
flip() { # flip FILE OFFSET: one bit of it
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
segment() { find "$raft" -name '0*-0*' ! -size -1k | sort | head -1; }
damage() { # damage WHAT WORDS -- COMMAND...: do it to the folder, see what comes of it, undo it
    local what=$1 words=()
    shift
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    rm -rf "$raft" && cp -a "$LAB_RUN/good" "$raft"
    "$@" || { echo "cannot damage: $what"; return 1; }
    test_case "$what: it says so and does not start" start_fails "${words[@]}"
    rm -rf "$raft" && cp -a "$LAB_RUN/good" "$raft"
}
remove_segments() { rm "$raft"/0*-0*; }
truncate_half() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }

daemon_stop 2
test_case "without it the others take changes" write 1
rm -rf "$LAB_RUN/good" && cp -a "$raft" "$LAB_RUN/good"
first=$(segment)
test_case "its log has a closed segment" [ -n "$first" ]
size=$(stat -c %s "$first")
damage "a bit of the log has flipped" "$(basename "$first")" -- flip "$first" $((size / 2))
damage "the first bits of the log" "$(basename "$first")" -- flip "$first" 0
damage "the log is cut short" "$(basename "$first")" -- truncate_half "$first"
damage "the log is gone" "$raft" -- remove_segments
damage "the term and the vote are gone" metadata1 -- rm -f "$raft/metadata1" "$raft/metadata2"
damage "progress is cut short" "$raft/progress" -- truncate -s 20 "$raft/progress"
damage "progress is empty" "$raft/progress" -- truncate -s 0 "$raft/progress"
damage "a bit of progress has flipped" "$raft/progress" -- flip "$raft/progress" 19
test_case "meanwhile the others take changes" write 3

# Keys and certificates.
id=$LAB_DATA/2/identity
cp -a "$id" "$LAB_RUN/identity"
for file in node.key node.crt member ca.crt; do
    truncate -s 10 "$id/$file"
    test_case "$file is cut short: it says so and does not start" start_fails "$id/$file"
    cp -a "$LAB_RUN/identity/$file" "$id/$file"
done

# A daemon that was killed leaves open segments; what was committed must be in them.
daemon_start 2
caught_up() { [ "$(index 2)" -ge "$(index 1)" ]; }
test_case "with everything as it was it starts and catches up" wait_for 30 "the same index" caught_up
at=$(index 2)
test_case "and takes changes" write 2
test_case "which it knows to be committed" wait_for 20 "progress" progress_has "$((at + 4))"
daemon_kill 2
rm -rf "$LAB_RUN/good" && cp -a "$raft" "$LAB_RUN/good"
open=$(for f in "$raft"/open-*; do [ -z "$(tr -d '\0' <"$f" | head -c 1)" ] || echo "$f"; done | head -1)
test_case "the killed one has an open segment" [ -n "$open" ]
damage "an open segment lost its entries" "$raft" -- truncate -s 8 "$open"
damage "a bit of its first entry has flipped" "$raft" -- flip "$open" 60
daemon_start 2
test_case "with everything as it was it starts again" wait_for 30 "the same index" caught_up
same() { [ "$(for n in 1 2 3; do w $n ls --json | jq -cS 'map({id, name, revision}) | sort_by(.id)'; done | sort -u | wc -l)" = 1 ]; }
test_case "all members agree" wait_for 20 "agreement" same
test_case "nothing acknowledged is lost" [ "$(w 2 ls --json | jq length)" = "$(written)" ]
finish
