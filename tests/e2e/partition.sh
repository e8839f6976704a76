#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member that is cut off, wholly or from the leader alone, both ways or one, never unseats a leader
# that the others hear.
. "$(dirname "$0")/lib.sh"

begin partition 3
voters_are() { [ "$(w 1 node ls --json | jq '[.[] | select(.votes)] | length')" = "$1" ]; }
test_case "three vote" wait_for 20 "three voters" voters_are 3
l=$(leader 1)
f=$(follower 1 2 3)

status() { w "$1" status --json | jq -r ".[0].$2"; }
term=$(status "$l" term)

lose() { # lose in|out [FROM]: what host f gets, or sends, is lost
    local chain=input match=saddr
    [ "$1" = in ] || { chain=output match=daddr; }
    in_host "$f" nft "add table ip cut; add chain ip cut $chain { type filter hook $chain priority -300; };
        add rule ip cut $chain ip $match ${2:-$PREFIX.0/24} tcp dport 7400 drop;
        add rule ip cut $chain ip $match ${2:-$PREFIX.0/24} tcp sport 7400 drop"
}
heal() { in_host "$f" nft delete table ip cut; }

lost() { [ "$(status "$f" contact_ms)" -gt 1500 ]; } # several times the time of an election
same() { [ "$(status "$l" leader)" = "n$l" ] && [ "$(status "$l" term)" = "$term" ]; }
back() { [ "$(status "$f" leader)" = "n$l" ] && [ "$(status "$f" contact_ms)" -lt 1000 ] && members_up "$l" 3; }

try() { # try WHAT LOSS...
    local what=$1
    shift
    for c; do
        # shellcheck disable=SC2086
        lose $c
    done
    test_case "$what: it misses the leader" wait_for 60 "out of contact" lost
    test_case "$what: the leader goes on" same
    heal
    test_case "$what: healed, it follows" wait_for 60 "contact" back
    test_case "$what: nobody was unseated" same
    test_case "$what: it has no term of its own" [ "$(status "$f" term)" = "$term" ]
}
try "cut off" in out
try "it hears nobody" in
try "nobody hears it" out
try "cut off from the leader alone" "in $PREFIX.$l" "out $PREFIX.$l"
finish
