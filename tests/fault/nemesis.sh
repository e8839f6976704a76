#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is it linearizable while things break? Many callers (linear.c) write and read through all members;
# meanwhile members are killed, stopped for seconds, cut off both ways and one way, their clocks jump
# and their disks fill up. First, that the check notices reads which are not linearizable.
# usage: [NEMESIS_SECONDS=45] [NEMESIS_MEMBERS=3] [SEED=N] tests/fault/nemesis.sh
. "$(dirname "$0")/lib.sh"

seconds=${NEMESIS_SECONDS:-45}
members=${NEMESIS_MEMBERS:-3}
seed=${SEED:-$RANDOM}
RANDOM=$seed
linear=$top/build/release/tests/fault/linear
faketime=$(find /usr/lib -name libfaketime.so.1 | head -1)
[ -n "$faketime" ] || { echo "FAIL nemesis: libfaketime is not installed: make deps-test"; exit 1; }
begin nemesis 0
trap disks_finish EXIT
DISKS=$(mktemp -d /var/tmp/wherry-disks.XXXXXX) || exit 1
echo "seed $seed, $members members, $seconds seconds"

# The last member's clock can be set: a file says by how much it is off.
start() { # start N
    if [ "$1" = "$members" ]; then
        LD_PRELOAD=$faketime DONT_FAKE_MONOTONIC=1 FAKETIME_CACHE_DURATION=1 \
            FAKETIME_TIMESTAMP_FILE=$LAB_RUN/clock daemon_start "$1"
    else
        daemon_start "$1"
    fi
}
clock() { echo "$1" >"$LAB_RUN/clock.new" && mv "$LAB_RUN/clock.new" "$LAB_RUN/clock"; }

all=$(seq "$members")
clock +0
for n in $all; do
    disk_make "$n" 200 || { echo "FAIL $name: no disk"; exit 1; }
    host_net "$n"
    start "$n"
done
# shellcheck disable=SC2086
cluster_form $all || { echo "FAIL $name: no cluster"; exit 1; }
voters() { [ "$(w 1 status --json | jq '.[0].voters')" = "$members" ]; }
test_case "all vote" wait_for 60 "voters" voters
sockets=()
for n in $all; do sockets+=("$LAB_RUN/$n/wherry.sock"); done

# --- what breaks ----------------------------------------------------------------------------------

any() { echo $((RANDOM % members + 1)); }
# The leader half of the time, for what happens to others matters less.
victim() {
    local l
    l=$([ $((RANDOM % 2)) = 1 ] && timeout 2 "$WHERRY" -H "unix://$LAB_RUN/$(any)/wherry.sock" node ls --stale --json \
        2>/dev/null | jq -r '.[] | select(.leader) | .name' | tr -d n)
    echo "${l:-$(any)}"
}
wait_some() { sleep "$((RANDOM % $1 + 1)).$((RANDOM % 10))"; }
rule() { # rule N CHAIN MATCH...: drop what matches at host N
    local n=$1 chain=$2
    shift 2
    in_host "$n" nft -f - <<NFT
table inet nemesis {
    chain in { type filter hook input priority -300; }
    chain out { type filter hook output priority -300; }
}
add rule inet nemesis $chain $* drop
NFT
}
heal_rules() {
    local n
    for n in $all; do in_host "$n" nft delete table inet nemesis 2>/dev/null; done
    true
}

killed() {
    daemon_kill "$1"
    sleep "0.$((RANDOM % 10))"
    start "$1"
}
stopped() {
    kill -STOP "$(daemon_pid "$1")"
    wait_some 4
    kill -CONT "$(daemon_pid "$1")"
}
cut_off() {
    host_cut "$1"
    wait_some 4
    host_heal "$1"
}
deaf() { # nothing reaches it, what it says is heard
    rule "$1" in iifname eth0
    wait_some 4
    heal_rules
}
mute() {
    rule "$1" out oifname eth0
    wait_some 4
    heal_rules
}
apart() { # two members do not hear each other, the others hear both
    local other=$(($1 % members + 1))
    rule "$1" in "ip saddr $PREFIX.$other"
    rule "$1" out "ip daddr $PREFIX.$other"
    wait_some 4
    heal_rules
}
wrong_clock() {
    local jumps=(+3600 -3600 +86400 -86400 +400000000 -400000000)
    clock "${jumps[RANDOM % ${#jumps[@]}]}"
    wait_some 3
    clock +0
}
full() { # so little room is left that it takes no part
    local free
    free=$(df --output=avail -k "$LAB_DATA/$1" | tail -1)
    fallocate -l $((free - 20000))K "$LAB_DATA/$1/filler"
    wait_some 4
    rm -f "$LAB_DATA/$1/filler"
}
all_killed() {
    local n
    for n in $all; do kill -KILL "$(daemon_pid "$n")"; done
    for n in $all; do wait_for 20 "end" not daemon_alive "$n" && start "$n"; done
}

faults=(killed full killed stopped stopped cut_off cut_off deaf mute apart full wrong_clock all_killed)
declare -A done_n
break_things() { # break_things SECONDS
    local end=$((SECONDS + $1)) what n=0
    while [ $SECONDS -lt $end ]; do
        # Each once, then at random.
        what=${faults[RANDOM % ${#faults[@]}]}
        [ $n -ge ${#faults[@]} ] || what=${faults[n]}
        n=$((n + 1))
        done_n[$what]=$((${done_n[$what]:-0} + 1))
        "$what" "$(victim)" >>"$LAB_RUN/nemesis.log" 2>&1
        sleep "0.$((RANDOM % 10))"
    done
}

# --- the check notices what is not linearizable ---------------------------------------------------

f=$(follower 1 $all)
host_cut "$f"
stale_is_noticed() {
    local out status
    out=$("$linear" --stale --quick --seed "$seed" 6 "${sockets[@]}")
    status=$?
    grep -E "linearizable|writes" <<<"$out"
    [ $status -eq 1 ]
}
test_case "stale reads of a member that is cut off are noticed" stale_is_noticed
host_heal "$f"

# --- and finds nothing else -----------------------------------------------------------------------

"$linear" --seed "$seed" "$seconds" "${sockets[@]}" >"$LAB_RUN/linear.out" 2>&1 &
checker=$!
break_things $((seconds - 4))
for n in $all; do kill -CONT "$(daemon_pid "$n")" 2>/dev/null; done
heal_rules
for n in $all; do host_heal "$n"; rm -f "$LAB_DATA/$n/filler"; done
for n in $all; do daemon_alive "$n" || start "$n"; done
wait "$checker"
status=$?
[ $status -eq 0 ] || cp "$LAB_RUN/linear.out" "$top/build/nemesis.out" # the whole history
linearizable() {
    cat "$LAB_RUN/linear.out"
    [ $status -eq 0 ]
}
test_case "reads and writes are linearizable meanwhile" linearizable
grep writes "$LAB_RUN/linear.out"
for what in "${!done_n[@]}"; do printf '%s: %s  ' "$what" "${done_n[$what]}"; done
echo
in_step() {
    local indexes
    indexes=$(for n in $all; do w "$n" status --json | jq '.[0].index'; done)
    [ "$(wc -l <<<"$indexes")" = "$members" ] && [ "$(sort -u <<<"$indexes" | wc -l)" = 1 ]
}
test_case "all members are equally far in the end" wait_for 60 "equal indexes" in_step
disks_finish
