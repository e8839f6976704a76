#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of a member's log are damaged while its app runs: started again it says which file and why,
# and gets a new log from the others, while the same containers run on. Without a majority of the
# others it waits, and says so; alone it does nothing.
. "$(dirname "$0")/../e2e/lib.sh"

begin repair 3
load busybox 1 2 3
raft=$LAB_DATA/2/raft
app=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
    stop_grace_period: 2s
    deploy: {replicas: 3, placement: {max_replicas_per_node: 1}}
YAML
)
written() { cat "$LAB_RUN/written" 2>/dev/null || echo 0; }
write() { # write N: some entries through member N
    local i stack
    for i in 1 2 3; do
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
status() { w "$1" status --json 2>/dev/null; }
index() { status "$1" | jq '.[0].index'; }
# Member 2 has what the others have, votes, and its task runs where it ran.
whole() {
    [ "$(index 2)" -ge "$(index 1)" ] && [ "$(w 1 node ls --json | jq '[.[] | select(.status == "up" and .votes)] | length')" = 3 ] &&
        running_is 2 app.web 3
}
processes() { # of the app on host 2, without the sleeps that come and go
    local id
    id=$(w 1 ps app.web --json | jq -r '.[] | select(.node == "n2" and .state == "running") | "t\(.id)"')
    echo "$id $(pids_in 2 "$id" | head -1)"
}
flip() { # flip FILE OFFSET: one bit of it
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %02x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
closed() { find "$raft" -name '0*-0*' | sort | tail -1; }
open_one() { for f in "$raft"/open-*; do [ -z "$(tr -d '\0' <"$f" | head -c 1)" ] || echo "$f"; done | head -1; }
set_aside() { find "$LAB_DATA/2" -maxdepth 1 -name 'raft.damaged-*' | wc -l; }

test_case "an app runs on all three" w 1 deploy -f "$app"
test_case "and entries are written" write 1
test_case "all is well" wait_for 30 "all" whole
daemon_stop 2 # its open segments become closed ones
daemon_start 2
test_case "also after a restart" wait_for 30 "all" whole
before=$(processes)

says_in_log() { grep -F "ERROR repair:" "$LAB_RUN/2.log" | tail -1 | grep -qF -- "$1"; }
damage() { # damage WHAT WORD COMMAND...: the daemon is killed, the file damaged, the daemon started
    local what=$1 word=$2
    shift 2
    write 1 || echo "cannot write"
    wait_for 30 "all" whole >/dev/null
    daemon_kill 2
    "$@" || { echo "cannot damage: $what"; return 1; }
    daemon_start 2
    test_case "$what: it says so" wait_for 30 "the message" says_in_log "$word"
    test_case "$what: it has a new log from the others" wait_for 60 "all" whole
    test_case "$what: the same processes run" [ "$(processes)" = "$before" ]
}
flip_open() { f=$(open_one) && flip "$f" 60; }
cut_open() { f=$(open_one) && truncate -s 100 "$f"; }
flip_closed() { f=$(closed) && flip "$f" $(($(stat -c %s "$f") / 2)); }
flip_vote() { for f in "$raft"/metadata?; do flip "$f" 24; done; }
gone() { rm -rf "$raft"; }
damage "a bit of an open segment" open- flip_open
damage "an open segment cut short" open- cut_open
damage "a bit of a vote" metadata flip_vote
damage "the folder gone" acknowledged gone
daemon_stop 2
daemon_start 2
damage "a bit of a closed segment" "$(basename "$raft")/0" flip_closed
test_case "two damaged logs are kept" [ "$(set_aside)" = 2 ]
test_case "the member kept its id and its name" [ "$(status 2 | jq -r '.[0] | "\(.node) \(.node_id)"')" = "n2 2" ]
test_case "raft has three voters" [ "$(status 1 | jq '.[0].voters')" = 3 ]

# By hand, on one that is at work.
logs() { grep -c 'starting with an empty log' "$LAB_RUN/2.log"; }
had=$(logs)
renewed() { [ "$(logs)" -gt "$had" ] && whole; }
old=$(w 1 node inspect n2 2>/dev/null | jq -r '.[0].joined_ms')
test_case "an operator may ask for it" w 2 node repair
test_case "then it has a new log too" wait_for 60 "all" renewed
test_case "and the same processes" [ "$(processes)" = "$before" ]
test_case "and is the member it was" [ "$(w 1 node inspect n2 | jq -r '.[0].joined_ms')" = "$old" ]

# The others have no majority: it waits, nothing is lost.
write 1
wait_for 30 "all" whole >/dev/null
daemon_kill 2
cp -a "$raft" "$LAB_RUN/good"
daemon_kill 3
flip_vote
daemon_start 2
waits() { [ "$(status 2 | jq '.[0].warnings | any(contains("cannot use its log"))')" = true ]; }
test_case "without a majority of the others it waits and says so" wait_for 30 "the warning" waits
test_case "other commands say why" says "asks the others for a new one" w 2 ls
test_case "its log is untouched" [ -d "$raft" ]
test_case "the same processes run" [ "$(pids_in 2 "${before% *}" | head -1)" = "${before#* }" ]
daemon_start 3
test_case "once they have one it is repaired" wait_for 60 "all" whole
test_case "with the same processes" [ "$(processes)" = "$before" ]
same() { [ "$(for n in 1 2 3; do w $n ls --json | jq -cS 'map({id, name, revision}) | sort_by(.id)'; done | sort -u | wc -l)" = 1 ]; }
test_case "all members agree" wait_for 20 "agreement" same
test_case "nothing acknowledged is lost" [ "$(w 2 ls --json | jq length)" = "$(($(written) + 1))" ]
finish
