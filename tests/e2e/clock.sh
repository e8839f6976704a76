#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member's clock is wrong by years, ahead and behind, at its start and by a jump while it leads: it
# is shown, it does not lead, and neither the state's time nor tokens suffer.
. "$(dirname "$0")/lib.sh"

faketime=$(find /usr/lib -name libfaketime.so.1 | head -1)
[ -n "$faketime" ] || { echo "FAIL clock: libfaketime is not installed: make deps-test"; exit 1; }

# Host 1's daemon has a clock that this file sets, read again every second. The time since boot is
# as it is.
begin clock 0
off() { echo "$1" >"$LAB_RUN/time"; }
off +0
WHERRY_REAL=$WHERRY
printf '#!/bin/bash\nexec env LD_PRELOAD=%q FAKETIME_TIMESTAMP_FILE=%q FAKETIME_CACHE_DURATION=1 \\\n%s "$@"\n' \
    "$faketime" "$LAB_RUN/time" \
    "FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 $WHERRY" >"$LAB_RUN/wherry-off"
chmod +x "$LAB_RUN/wherry-off"
start_1() { WHERRY=$LAB_RUN/wherry-off daemon_start 1; }
host_net 1
start_1
host_up 2
host_up 3
cluster_form 1 2 3 || exit 1

offset_of() { # offset_of MEMBER NODE: in days
    w "$1" node ls --json | jq -r ".[] | select(.name == \"n$2\") | .clock_offset_ms / 86400000 | round"
}
shown_by_all() { # shown_by_all NODE DAYS
    local m
    for m in 1 2 3; do [ "$(offset_of $m "$1")" = "$2" ] || return 1; done
}
said() { w "$1" status | grep -q "the clock of n1 is 1100 days $2"; }
another_leads() { local l; l=$(leader 2) && [ -n "$l" ] && [ "$l" != 1 ]; }

# token N: one is made through member N; its time and its end, which the leader and the state give,
# are right, and it is good.
token() {
    local now made
    w "$1" token -q >/dev/null || return 1
    now=$(date +%s)
    made=$(w "$1" token ls --json | jq '[.[].created_ms] | max / 1000 | floor')
    [ $((now - made)) -lt 300 ] && [ $((made - now)) -lt 300 ] || { echo "made $made, now $now"; return 1; }
    w "$1" token ls --json | jq -e 'all(.expired | not)'
}

test_case "n1 leads" [ "$(leader 1)" = 1 ]
off +1100d
test_case "a jump while it leads: the next token has the right time" token 1
test_case "another one leads" wait_for 30 "another leader" another_leads
test_case "all see how far it is off" wait_for 30 "1100 days" shown_by_all 1 1100
test_case "the others say so" said 2 ahead
test_case "so does it" said 1 ahead
test_case "a token made through it is good" token 1

# The leader goes. Of the two that are left the one with the right clock is to lead.
wait_for 30 "a leader" another_leads
other=$(leader 2)
third=$((5 - other))
daemon_stop "$other"
right_one() { [ "$(leader $third)" = $third ]; }
test_case "with a leader lost it does not stand" wait_for 40 "n$third to lead" right_one
test_case "and a token is good" token $third
daemon_start "$other"
wait_for 30 "all up" members_up 1 3

daemon_stop 1
off -1100d
start_1
test_case "started with a clock that is behind it is a member as any" wait_for 30 "all up" members_up 2 3
test_case "all see that too" wait_for 30 "-1100 days" shown_by_all 1 -1100
test_case "it is said" said 2 behind
test_case "a token made through it is good too" token 1
remote=$(w 2 token create -q)
from_outside() { WHERRY_TOKEN=$remote "$WHERRY_REAL" -H "$PREFIX.1" status; }
test_case "it is called from outside" from_outside
client_off() { says 'clock' env WHERRY_TOKEN="$remote" LD_PRELOAD="$faketime" FAKETIME=-1100d "$WHERRY_REAL" -H "$PREFIX.2" status; }
test_case "a caller whose own clock is off is told so" client_off
off +0
test_case "its clock set, all is well" wait_for 30 "0 days" shown_by_all 1 0
finish
