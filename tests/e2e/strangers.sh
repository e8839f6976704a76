#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who has no credentials gets nothing but refusals from a member's ports, from outside and from a
# container, and whatever he tries calls go on and the members' memory and descriptors stay bounded.
. "$(dirname "$0")/lib.sh"
stranger=$(realpath "${1:-$top/build/release/tests/e2e/stranger}")

begin strange 2
load busybox 1 2
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {replicas: 2}
YAML
)
w 1 deploy -f "$file" >/dev/null
host_net 8
host_net 9
token=$(w 1 token create -q)
cluster=$(w 1 status --json | jq -r '.[0].cluster')
member=$PREFIX.1
inside=/run/netns/$LAB-8
container=$(find "$LAB_RUN/1/netns" -type f | head -1)
as_outside() { nsenter --net="$inside" "$stranger" "$@"; }
as_container() { nsenter --net="$container" "$stranger" "$@"; }
call() { in_host 9 env HOME="$LAB_RUN" "$WHERRY" -H "$member" --token "${1:-$token}" ls -q; }

# --- what listens -----------------------------------------------------------------------------------
listening() { in_host 1 ss -Hlntu | awk '{print $1, $5}' | sed 's/%[a-z0-9]*//' | sort -u; }
only_known() {
    listening
    [ "$(listening | grep -vxE "tcp $member:740[01]|tcp 127.0.0.1:7480|udp (0.0.0.0|\*|\[::\]):4789|(tcp|udp) 169.254.1.1:53" | wc -l)" = 0 ] &&
        [ "$(listening | grep -c "^tcp $member:740[01]$")" = 2 ]
}
test_case "nothing listens but the ports of the reference" only_known

# --- no credentials ---------------------------------------------------------------------------------
for from in outside container; do
    test_case "a member whose key nobody pinned is refused ($from)" \
        [ "$(as_$from member "$member" 7400 "$cluster" 2 1 "$LAB_RUN/false-$from")" = refused ]
    test_case "so is one that calls in TLS what is no protocol ($from)" \
        [ "$(as_$from speak "$member" 7400 "GET / HTTP/1.1")" = refused ]
    test_case "the port for calls says its header and no more ($from)" \
        [ "$(as_$from speak "$member" 7401 "GET / HTTP/1.1")" = "8 bytes of an answer" ]
done
test_case "the real second member was not disturbed" [ "$(w 1 node ls --json | jq -r '.[] | select(.id == 2) | .status')" = up ]

# --- guessed tokens ---------------------------------------------------------------------------------
other_secret() { local last=${1: -1}; echo "${1%?}$([ "$last" = 0 ] && echo 1 || echo 0)"; }
guess() {
    local i begin=${EPOCHREALTIME/./}
    for i in 1 2 3 4 5; do says 'not .*good for calls' call "$(other_secret "$token")" || return 1; done
    # 0.4 s three times, then 0.8 s and 1.6 s: no machine is faster than that.
    [ $((${EPOCHREALTIME/./} - begin)) -ge 3500000 ]
}
test_case "guesses are refused, and slower each time" guess
test_case "a good token from there is not held up" call
lines() { grep -c 'refused a call from' "$LAB_RUN/1.log"; }
guess_many() {
    local i before after pids=() begin=$SECONDS
    before=$(lines)
    for i in $(seq 40); do call "$(other_secret "$token")" & pids+=($!); done >/dev/null 2>&1
    wait "${pids[@]}"
    after=$(lines)
    echo "$((after - before)) lines in $((SECONDS - begin)) s"
    [ $((after - before)) -le $((SECONDS - begin + 2)) ]
}
test_case "forty guesses at once are a line a second in the log" guess_many

# --- a flood ----------------------------------------------------------------------------------------
descriptors() { find "/proc/$(daemon_pid 1)/fd" -mindepth 1 2>/dev/null | wc -l; }
rss_kb() { awk '/VmRSS/ {print $2}' "/proc/$(daemon_pid 1)/status"; }
fds=$(descriptors) rss=$(rss_kb)
pids=()
for port in 7400 7401; do
    as_outside flood "$member" $port 8 >"$LAB_RUN/flood.$port" & pids+=($!)
    as_container flood "$member" $port 8 >"$LAB_RUN/flood.c$port" & pids+=($!)
done
as_container udp 169.254.1.1 53 2000
as_outside udp "$member" 4789 2000
as_container udp "$member" 4789 2000
under_flood() { kill -0 "${pids[0]}"; }
served=0 missed=0 fds_top=0 rss_top=0
while under_flood 2>/dev/null; do
    # One may be unlucky once: the command line is told to try again.
    if call >/dev/null 2>&1; then served=$((served + 1)); else missed=$((missed + 1)); fi
    w 1 ls -q >/dev/null 2>&1 || missed=$((missed + 1))
    n=$(descriptors); [ "$n" -le $fds_top ] || fds_top=$n
    n=$(rss_kb); [ "$n" -le $rss_top ] || rss_top=$n
    sleep 0.2
done
wait "${pids[@]}"
echo "     | $(cat "$LAB_RUN"/flood.* | xargs) connections; $served calls served, $missed not;" \
    "descriptors $fds, at most $fds_top; RSS $rss kB, at most $rss_top"
test_case "the flood was one" [ "$(cat "$LAB_RUN"/flood.* | awk '{n += $1} END {print n}')" -gt 1000 ]
went_on() { [ $served -gt 0 ] && [ $missed -le $served ]; }
test_case "calls went on" went_on
# 256 callers, 64 who have not said who they are, and what accept() had at the moment.
test_case "descriptors stayed bounded" [ $fds_top -lt $((fds + 450)) ]
test_case "memory stayed bounded" [ $rss_top -lt $((rss + 40000)) ]
test_case "the members stayed in touch" [ "$(w 2 node ls --json | jq '[.[] | select(.status == "up")] | length')" = 2 ]
test_case "its leader led on" [ "$(grep -c 'we lead' "$LAB_RUN/1.log")" = 1 ]
given_back() { [ "$(descriptors)" -le $((fds + 4)) ]; }
test_case "and all descriptors are given back" wait_for 60 "descriptors" given_back
test_case "names are answered still" nsenter --net="$container" busybox nslookup web.app 169.254.1.1
finish
