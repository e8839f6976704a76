#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules of random states, told to the kernel by their differences: they are what a machine that
# begins with the last state has, also when who told them was killed on the way, or a stranger
# changed tables of its own, or ours.
#
#   SEED=7 KILLS=100 tests/fault/rules.sh
cd "$(dirname "$0")/../.." || exit 2
churn=$(realpath build/release/tests/fault/rulechurn)
[ "$(id -u)" = 0 ] || { echo "run it as root: it makes network namespaces"; exit 2; }
[ -x "$churn" ] || { echo "$churn is missing: make $churn"; exit 2; }
seed=${SEED:-$RANDOM} kills=${KILLS:-40} passed=0 failed=0
one=wr$$a two=wr$$b
cleanup() { ip netns del $one 2>/dev/null; ip netns del $two 2>/dev/null; }
trap cleanup EXIT
trap 'exit 1' INT TERM
ip netns add $one && ip netns add $two || exit 2

is() { # is NAME GOT WANTED
    if [ "$2" = "$3" ]; then
        echo "ok   $1"; passed=$((passed + 1))
    else
        echo "FAIL $1: got '${2:0:300}', wanted '${3:0:300}'"; failed=$((failed + 1))
    fi
}
in_one() { ip netns exec $one "$@"; }
# All that the table has, whatever the order it came in.
content() { ip netns exec "$1" nft -s list table inet wherry | tr ',' '\n' | tr -d ' \t{}' | sed 's/^elements=//' | sort; }
# The same state in a namespace that never had another.
afresh() { ip netns exec $two nft flush ruleset; ip netns exec $two "$churn" "$seed" "$1" $(($1 + 1)) >/dev/null; }

echo "     (seed $seed)"
out=$(in_one "$churn" "$seed" 0 200 2>&1)
is "200 states, each what the kernel has" "$?" 0
echo "     ($out)"
told=$(sed -n 's/.* \([0-9]*\) of them.*/\1/p' <<<"$out")
is "most by their difference" "$([ "${told:-0}" -gt 100 ] && echo yes)" yes
afresh 199
is "the last is what a machine has that begins with it" "$(content $one)" "$(content $two)"

bad=
for i in $(seq "$kills"); do
    { timeout -s KILL "0.0$((RANDOM % 80 + 10))" ip netns exec $one "$churn" "$seed" 200 100000; } >/dev/null 2>&1
    in_one "$churn" "$seed" 300 301 >/dev/null 2>&1 || bad="$bad $i"
done
is "killed $kills times on the way, and always mended" "$bad" ""
afresh 300
is "what is left is what a machine has that was never killed" "$(content $one)" "$(content $two)"

# Strangers: one with a table of its own, one that takes ours apart.
(while :; do in_one nft add table ip stranger; in_one nft delete table ip stranger; done) 2>/dev/null &
stranger=$!
out=$(in_one "$churn" "$seed" 400 600 2>&1)
is "beside changes of a stranger's tables" "$?" 0
kill $stranger; wait $stranger 2>/dev/null
is "nothing of it is lost" "$(afresh 599; content $one | cmp - <(content $two) && echo same)" same
in_one nft flush chain inet wherry forward
in_one "$churn" "$seed" 600 601 >/dev/null
afresh 600
is "a chain that was emptied is filled again" "$(content $one)" "$(content $two)"

echo "$passed passed, $failed failed, 0 skipped"
[ -z "$WHERRY_COUNTS" ] || echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ $failed -eq 0 ]
