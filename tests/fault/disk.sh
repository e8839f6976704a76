#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a member keeps on disk is damaged while it is off, and it has no others: it says which file
# and why, does not start with less than it had, changes nothing, and with the file as it was it
# comes back. (With others: repair.sh.)
. "$(dirname "$0")/../e2e/lib.sh"

begin disk 1
# Counted in a file: cases run in shells of their own.
written() { cat "$LAB_RUN/written" 2>/dev/null || echo 0; }
write() { # some entries
    local i stack
    for i in 1 2 3 4 5; do
        stack=$(($(written) + 1))
        w 1 deploy --detach -f "$(
            compose "s$stack" <<YAML
name: s$stack
services:
  none: {image: "demo/none:1", deploy: {replicas: 0}}
YAML
        )" >/dev/null || return 1
        echo "$stack" >"$LAB_RUN/written"
    done
}
raft=$LAB_DATA/1/raft
test_case "entries are written" write

# start_fails WORDS...: the daemon ends by itself, and its message has all these words
start_fails() {
    local out rv word
    out=$(in_host 1 timeout 15 "$WHERRY" node --name n1 --data "$LAB_DATA/1" --run "$LAB_RUN/1" --address "$PREFIX.1" 2>&1)
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
segment() { find "$raft" -name '0*-0*' | sort | tail -1; }
damage() { # damage WHAT WORDS -- COMMAND...: do it to the folder, see what comes of it, undo it
    local what=$1 words=()
    shift
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    rm -rf "$raft" && cp -a "$LAB_RUN/good" "$raft"
    "$@" || { echo "cannot damage: $what"; return 1; }
    find "$raft" -type f ! -name lock -exec sha256sum {} + | sort >"$LAB_RUN/before"
    test_case "$what: it says so and does not start" start_fails "${words[@]}"
    find "$raft" -type f ! -name lock -exec sha256sum {} + | sort >"$LAB_RUN/after"
    test_case "$what: nothing was changed" diff "$LAB_RUN/before" "$LAB_RUN/after"
    rm -rf "$raft" && cp -a "$LAB_RUN/good" "$raft"
}
keep() { rm -rf "$LAB_RUN/good" && cp -a "$raft" "$LAB_RUN/good"; }
remove_segments() { rm "$raft"/0*-0*; }
truncate_half() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }

daemon_stop 1
keep
first=$(segment)
test_case "its log has a closed segment" [ -n "$first" ]
size=$(stat -c %s "$first")
damage "a bit of the log has flipped" "$(basename "$first")" "wherry restore" -- flip "$first" $((size / 2))
damage "the first bits of the log" "$(basename "$first")" -- flip "$first" 0
damage "the log is cut short" "$(basename "$first")" -- truncate_half "$first"
damage "the log is gone" "$raft" -- remove_segments
damage "the term and the vote are gone" metadata1 -- rm -f "$raft/metadata1" "$raft/metadata2"
damage "progress is cut short" "$raft/progress" -- truncate -s 20 "$raft/progress"
damage "progress is empty" "$raft/progress" -- truncate -s 0 "$raft/progress"
damage "a bit of progress has flipped" "$raft/progress" -- flip "$raft/progress" 19
damage "what was acknowledged is gone" "$raft/acknowledged" -- rm "$raft/acknowledged"
damage "and cut short" "$raft/acknowledged" -- truncate -s 20 "$raft/acknowledged"
mv "$raft" "$LAB_RUN/away"
test_case "the folder is gone: it says so and does not start" start_fails "$raft/acknowledged is missing"
rm -rf "$raft" && mv "$LAB_RUN/away" "$raft"

# Keys and certificates.
id=$LAB_DATA/1/identity
cp -a "$id" "$LAB_RUN/identity"
for file in node.key node.crt member raft; do
    truncate -s 10 "$id/$file"
    test_case "$file is cut short: it says so and does not start" start_fails "$id/$file"
    cp -a "$LAB_RUN/identity/$file" "$id/$file"
done

# A daemon that was killed leaves open segments.
daemon_start 1
stacks() { [ "$(w 1 ls --json 2>/dev/null | jq length)" = "$(written)" ]; }
test_case "with everything as it was it starts" wait_for 30 "all stacks" stacks
test_case "and takes changes" write
daemon_kill 1
keep
open=$(for f in "$raft"/open-*; do [ -z "$(tr -d '\0' <"$f" | head -c 1)" ] || echo "$f"; done | head -1)
test_case "the killed one has an open segment" [ -n "$open" ]
damage "an open segment lost its entries" "$(basename "$open")" -- truncate -s 8 "$open"
damage "a bit of its first entry has flipped" "$(basename "$open")" -- flip "$open" 60
daemon_start 1
test_case "with everything as it was it starts again" wait_for 30 "all stacks" stacks
finish
