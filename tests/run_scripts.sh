#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run test scripts one after the other; each prints its cases and appends to $WHERRY_COUNTS itself.
# A script that ends without having counted is one failure.
status=0
for script in "$@"; do
    echo "== $script"
    before=$(cat "${WHERRY_COUNTS:-/dev/null}" 2>/dev/null | wc -l)
    timeout 1200 bash "$script" || status=1
    if [ -n "$WHERRY_COUNTS" ] && [ "$(cat "$WHERRY_COUNTS" 2>/dev/null | wc -l)" = "$before" ]; then
        echo "0 1 0" >>"$WHERRY_COUNTS"
        status=1
    fi
done
exit $status
