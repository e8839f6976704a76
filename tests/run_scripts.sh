#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run test scripts one after the other; each prints its cases and appends to $WHERRY_COUNTS itself.
# A script that ends without having counted is one failure.
#
# Real daemons on a busy machine now and then miss what they were given half a minute for. A script
# that fails is run once more and only that counts; the last lines name it, since what fails now and
# then has a reason that is worth finding. CHECK_ONCE=1: no second run.
status=0
again=()
lines() { cat "${WHERRY_COUNTS:-/dev/null}" 2>/dev/null | wc -l; }

run() { # run SCRIPT: its status; no count is a failure
    local before began=$SECONDS status=0
    before=$(lines)
    timeout 1200 bash "$1" || status=1
    echo "   $((SECONDS - began)) s"
    [ $status = 0 ] || return 1
    [ -z "$WHERRY_COUNTS" ] || [ "$(lines)" -gt "$before" ]
}

forget() { # forget LINES: what was counted after so many lines
    [ -z "$WHERRY_COUNTS" ] || [ ! -e "$WHERRY_COUNTS" ] ||
        { head -n "$1" "$WHERRY_COUNTS" >"$WHERRY_COUNTS.new" && mv "$WHERRY_COUNTS.new" "$WHERRY_COUNTS"; }
}

for script in "$@"; do
    echo "== $script"
    counted=$(lines)
    run "$script" && continue
    if [ -z "$CHECK_ONCE" ]; then
        echo "== $script once more"
        forget "$counted"
        again+=("$script")
        run "$script" && continue
    fi
    status=1
    [ "$(lines)" -gt "$counted" ] || [ -z "$WHERRY_COUNTS" ] || echo "0 1 0" >>"$WHERRY_COUNTS"
done
[ ${#again[@]} -eq 0 ] || echo "failed the first time: ${again[*]}"
exit $status
