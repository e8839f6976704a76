#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run cmocka programs, show only what failed, and count. Appends "P F S" to $WHERRY_COUNTS if set.
# One that fails is shown and run once more, and only that counts (see run_scripts.sh).
passed=0 failed=0
for program in "$@"; do
    out=$(CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 600 "$program" 2>&1)
    status=$?
    if [ $status -ne 0 ] && [ -z "$CHECK_ONCE" ]; then
        echo "FAILED $program (status $status), once more"
        echo "$out" | tail -60
        out=$(CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 600 "$program" 2>&1)
        status=$?
    fi
    p=$(grep -c '^\[       OK \]' <<<"$out")
    f=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' <<<"$out")
    [ $status -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f))
    if [ $status -ne 0 ]; then
        echo "FAILED $program (status $status)"
        echo "$out" | tail -60
    else
        echo "ok     ${program#*/tests/} ($p)"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ -n "$WHERRY_COUNTS" ] && echo "$passed $failed 0" >>"$WHERRY_COUNTS"
[ "$failed" -eq 0 ]
