#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Twenty members: five vote, fifteen are ready to; four voters are lost, two at a time.
. "$(dirname "$0")/lib.sh"

begin twenty 0
SECONDS=0
members=20
for n in $(seq $members); do host_net "$n"; done
for n in $(seq $members); do daemon_start "$n" & done
wait
w 1 init >/dev/null || exit 1
token=$(w 1 token -q)
join() { for n in $(seq 2 $members); do w "$n" join "$PREFIX.1" --token "$token" >/dev/null || return 1; done; }
test_case "twenty members form a cluster" join
test_case "all are up" wait_for 60 "twenty" members_up 1 $members
voters() { w "$1" node ls --json | jq -r '[.[] | select(.votes and .status == "up") | .id] | join(" ")'; }
five() { [ "$(voters "$1" | wc -w)" = 5 ] && [ "$(w "$1" node ls --json | jq '[.[] | select(.votes)] | length')" = 5 ]; }
test_case "five of them vote" wait_for 30 "five voters" five 1
test_case "two may be lost at once" grep -q '5 of 5 up, 3 needed, 2 more may fail' <(w 20 status)

# Of each: pages of its own, and what it has in all with the libraries, which are shared.
memory() { for n in $(seq $members); do awk -v k="$1:" '$1 == k {print $2}' "/proc/$(daemon_pid "$n")/status"; done; }
most() { memory "$1" | sort -n | tail -1; }
echo "     after $SECONDS s; a member takes at most $(most VmRSS) KB, of these $(most RssAnon) KB of its own"
test_case "each takes little memory of its own" [ "$(most RssAnon)" -lt 8192 ] # KB

lose_two() { # lose_two WHAT DOWN: the leader and another voter; then so many are down
    local l v
    l=$(leader "$seen")
    v=$(voters "$seen" | tr ' ' '\n' | grep -v "^$l\$" | tail -1)
    host_kill "$l"
    host_kill "$v"
    seen=$(for n in $(seq $members); do daemon_alive "$n" && echo "$n"; done | tail -1)
    test_case "$1: changes go on" wait_for 30 "a change" timeout 15 "$WHERRY" -H "unix://$LAB_RUN/$seen/wherry.sock" cluster set "spread=$1"
    test_case "$1: they are down" wait_for 30 "down" down "$2"
    test_case "$1: standbys took over" wait_for 30 "five voters" five "$seen"
    test_case "$1: two more may be lost" grep -q '5 of 5 up, 3 needed, 2 more may fail' <(w "$seen" status)
}
down() { [ "$(w "$seen" node ls --json | jq '[.[] | select(.status == "down")] | length')" = "$1" ]; }
seen=1
lose_two first 2
lose_two second 4
for n in $(w "$seen" node ls --json | jq -r '.[] | select(.status == "down") | .name' | tr -d n); do host_boot "$n"; done
test_case "they come back" wait_for 60 "twenty" members_up "$seen" $members
test_case "still five vote" five "$seen"
echo "     $SECONDS s"
if [ -z "${KEEP:-}" ] && [ $failed = 0 ]; then
    for n in $(seq $members); do host_down "$n" & done
    wait
fi
finish
