#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Certificates: renewed by themselves, of another CA without a pause, and a member that was off past
# the end of its own.
. "$(dirname "$0")/lib.sh"
begin ca 0

LIFE=9 # seconds that certificates last here
for n in 1 2 3; do host_up $n --certificate-lifetime ${LIFE}s; done
cluster_form 1 2 3 || exit 1

call() { WHERRY_TOKEN=$1 "$WHERRY" -H "$PREFIX.$2:7401" status; } # call TOKEN HOST
# The certificate that member N shows to callers, in PEM.
shown() { echo | in_host "$1" openssl s_client -connect "$PREFIX.$1:7401" 2>/dev/null | openssl x509; }
serial() { shown "$1" | openssl x509 -noout -serial; }
serial_differs() { local s; s=$(serial "$1") && [ -n "$s" ] && [ "$s" != "$2" ]; }
info() { w "$1" ca inspect --json | jq -r ".[0]$2"; }
restarted() { [ "$(daemon_pid "$1")" != "$2" ]; }

# Somebody calls all the time, through two members by turns, with a token of the first CA.
token=$(w 1 token create -q)
first=$(info 1 .ca)
calls=$LAB_RUN/calls
caller() {
    local n=0
    while [ -e "$LAB_RUN/calling" ]; do
        n=$((n % 2 + 1))
        if call "$token" $n >/dev/null 2>"$calls.err"; then
            echo ok >>"$calls"
        else
            { echo "through $n:"; cat "$calls.err"; } >>"$calls.failed"
        fi
    done
}
for n in 1 2 3; do wait_for 30 "calls through $n" call "$token" $n; done
touch "$LAB_RUN/calling" "$calls"
caller &
caller_pid=$!
none_failed() { [ -s "$calls" ] && { [ ! -e "$calls.failed" ] || { cat "$calls.failed"; return 1; }; }; }

serial=$(serial 2)
pid=$(daemon_pid 2)
test_case "a member renews its certificate by itself" wait_for 40 "another certificate" serial_differs 2 "$serial"
test_case "without a start" not restarted 2 "$pid"

# One is off until its certificate is over and the CA that signed it is forgotten.
daemon_stop 3
test_case "the CA is replaced" w 2 ca rotate
test_case "another one is in use" [ "$(info 1 .ca)" != "$first" ]
test_case "the one before is still there" [ "$(info 2 .before)" = "$first" ]
test_case "it cannot be replaced twice at once" says 'being changed already' w 1 ca rotate
fresh=$(w 1 token create -q)
test_case "tokens are of the new one" grep -q "$(info 1 .ca)" <<<"$fresh"
test_case "they are good for calls" call "$fresh" 2
test_case "and those of before" call "$token" 2
old_join=$(tr ' ' '\n' <"$LAB_RUN/init.out" | grep '^wherry1-j-' | head -1)
host_up 4 --witness
test_case "a machine joins with a token of the CA before, as a witness" w 4 join "$PREFIX.2" --token "$old_join"
certificates() { grep -c BEGIN "$LAB_DATA/$1/identity/node.crt"; }
has_certificates() { [ "$(certificates "$1")" = "$2" ]; }
test_case "it gets a certificate of both CAs" has_certificates 4 4
test_case "and no cluster key" not test -e "$LAB_DATA/4/identity/cluster.key"

rm "$LAB_RUN/calling"
wait $caller_pid
test_case "no call failed through all of it" none_failed
test_case "to forget the CA before is asked about" says 'tokens name the CA before' w 1 ca rotate --finish
test_case "it is forgotten" w 1 ca rotate --finish --yes
test_case "twice is once too often" says 'no change of the CA' w 1 ca rotate --finish --yes
renewed() { [ "$(info 1 .members_before)" = 1 ]; }
test_case "the others show the new one alone" wait_for 30 "renewal" renewed
test_case "so does the witness, which asks another for it" wait_for 30 "its certificate" has_certificates 4 2
test_case "a token of the CA before is good for nothing" says 'not of the cluster the token is for' call "$token" 1
test_case "it is gone from the list" eval '! w 1 token ls | grep -q init'
test_case "a token of the new one is" call "$fresh" 1
until=$(openssl x509 -enddate -noout -in "$LAB_DATA/3/identity/node.crt" | cut -d= -f2)
over() { [ "$(date +%s)" -gt "$(date -d "$until" +%s)" ]; }
test_case "the certificate of the one that is off ends" wait_for 40 "its end" over
daemon_start 3
test_case "it comes back alone" wait_for 30 "members" members_up 1 4
test_case "and is called with a token of the new CA" wait_for 30 "a call" call "$fresh" 3
finish
