#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# wherry check-host: what a member needs, before there is one, each with what to do.
. "$(dirname "$0")/lib.sh"

begin check-host 0
host_net 1
look() { in_host 1 "$WHERRY" check-host --data "$LAB_DATA/1" "$@"; }
result() { look --json 2>/dev/null | jq -r --arg w "$1" '.[] | select(.what == $w) | .result' | sort -u; }
is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }
test_case "this machine can be one" look
for what in kernel overlayfs "control groups" network "OCI runtime" disk address ports firewall; do
    test_case "$what" is "$(result "$what")" ok
done
nothing() { [ "$(in_host 1 ip -o link | wc -l)" = 2 ] && [ -z "$(in_host 1 nft list tables)" ] && [ ! -e "$LAB_DATA/1/containers" ]; }
test_case "nothing was changed" nothing

in_host 1 python3 -c "
import os, socket, time
open('$LAB_RUN/server', 'w').write(str(os.getpid()))
s = socket.socket(); s.bind(('0.0.0.0', 7400)); s.listen(1); time.sleep(120)" >/dev/null 2>&1 &
wait_for 10 "the server" test -s "$LAB_RUN/server"
sleep 1
test_case "a port that is taken" says "failed  *ports  *7400/tcp, for the other members, is held by python3" look
test_case "is a reason" says "this machine cannot be a member: 1 of what it takes is missing" look
kill "$(cat "$LAB_RUN/server")"
in_host 1 ip addr add 10.200.1.1/24 dev lo
test_case "an address where containers are to be" is "$(result "addresses of containers")" warning
in_host 1 ip addr del 10.200.1.1/24 dev lo
in_host 1 nft 'add table inet strict; add chain inet strict pass { type filter hook forward priority 10; policy drop; }'
test_case "a firewall that drops" is "$(result firewall)" warning
in_host 1 nft delete table inet strict
in_host 1 ip addr flush dev eth0
test_case "no address" is "$(result address)" failed
finish
