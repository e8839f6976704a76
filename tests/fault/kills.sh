#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemons of three members are killed again and again at any moment while callers write through
# all of them: nothing that was acknowledged is missing on any of them, and all are alike.
# usage: [KILLS=200] [SEED=N] tests/fault/kills.sh
. "$(dirname "$0")/../e2e/lib.sh"

kills=${KILLS:-200}
seed=${SEED:-$RANDOM}
writer=$top/build/release/tests/fault/writer
[ -x "$writer" ] || { echo "$writer is missing: make $writer"; exit 2; }
begin kill9 3
echo "seed $seed, $kills kills"
sockets=()
for n in 1 2 3; do sockets+=("$LAB_RUN/$n/wherry.sock"); done
writers=()
for i in 1 2 3; do
    "$writer" "$LAB_RUN/acknowledged.$i" "w${i}x" 600 "${sockets[@]}" >"$LAB_RUN/writer.$i" 2>&1 &
    writers+=($!)
done

# As daemon_start, without waiting for it.
start() {
    setsid nsenter --net="/run/netns/$LAB-$1" "$WHERRY" node --name "n$1" --data "$LAB_DATA/$1" --run "$LAB_RUN/$1" \
        --address "$PREFIX.$1" >>"$LAB_RUN/$1.log" 2>&1 </dev/null &
    echo $! >"$LAB_RUN/$1.pid"
}
strike() { # strike N...: these at once
    local n
    for n; do kill -KILL "$(cat "$LAB_RUN/$n.pid")"; done
    for n; do
        wait "$(cat "$LAB_RUN/$n.pid")" 2>/dev/null
        start "$n"
        killed=$((killed + 1))
    done
}
RANDOM=$seed
killed=0
while [ $killed -lt "$kills" ]; do
    sleep "0.$((RANDOM % 35 + 35))" # a leader is elected now and then
    victim=$((RANDOM % 3 + 1))
    case $((RANDOM % 10)) in
    0) strike 1 2 3 ;; # all
    1) strike $victim $((victim % 3 + 1)) ;; # a majority
    *) strike $victim ;;
    esac
done 2>/dev/null
kill -TERM "${writers[@]}" 2>/dev/null
wait "${writers[@]}" 2>/dev/null
cat "$LAB_RUN"/acknowledged.* | sort >"$LAB_RUN/acknowledged"
echo "     ($killed kills, $(wc -l <"$LAB_RUN/acknowledged") changes acknowledged)"

index() { w "$1" status --json 2>/dev/null | jq '.[0].index'; }
alike() { [ -n "$(index 1)" ] && [ "$(index 1)" = "$(index 2)" ] && [ "$(index 2)" = "$(index 3)" ]; }
test_case "they come back and get as far as each other" wait_for 60 "the same index" alike
all_there() {
    local n lost
    for n in 1 2 3; do
        lost=$(comm -23 "$LAB_RUN/acknowledged" <(w $n ls --stale --json | jq -r '.[].stack' | sort))
        [ -z "$lost" ] || { echo "n$n lacks: $lost"; return 1; }
    done
}
test_case "nothing acknowledged is missing on any" all_there
same() { [ "$(for n in 1 2 3; do w $n ls --stale --json | jq -cS 'map({id, name, revision}) | sort_by(.id)'; done | sort -u | wc -l)" = 1 ]; }
test_case "all are alike" wait_for 20 "agreement" same
test_case "no kill was taken for damage" not grep -q "ERROR repair" "$LAB_RUN"/1.log "$LAB_RUN"/2.log "$LAB_RUN"/3.log
test_case "changes got through" [ "$(wc -l <"$LAB_RUN/acknowledged")" -ge $((kills / 10)) ]
finish
