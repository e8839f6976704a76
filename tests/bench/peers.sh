#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image of 100 MB pulled by a member: from a registry, and from one or two other members, in one
# run and in turn; with it the processor time of the daemons that give (host 1's) and take, their memory
# before and after, and how long their loops were away. Three hosts of one machine; nothing limits
# the links between them.
#
#   sudo tests/bench/peers.sh          BENCH_ROUNDS=5
. "$(dirname "$0")/lib.sh"
. "$top/tests/e2e/lib.sh"

samples_begin peers
name=bench-peers
begin bench-peers 0
trap 'registry_stop; finish >/dev/null' EXIT
registry=$PREFIX.254:5080
for n in 1 2 3; do host_up $n --plain-http "$registry"; done
cluster_form 1 2 3 || exit 1
registry_start "$registry"
noise_push "$registry" bench/noise 25 25 25 25 || exit 1
image=$registry/bench/noise:1

drop() {
    w "$1" image rm "$image" >/dev/null 2>&1
    ! w "$1" image ls | grep -q "$image"
}
pid() { daemon_pid "$1"; }
# timed KEY HOST: how long a pull takes there, and the processor time of its daemon and of host 1's
timed() {
    local start to from
    to=$(cpu_of "$(pid "$2")") from=$(cpu_of "$(pid 1)")
    start=$(now)
    w "$2" image pull "$image" >/dev/null || exit 1
    sample "$1" "$(since_ms "$start")"
    sample "$1"_to_cpu $(($(cpu_of "$(pid "$2")") - to))
    sample "$1"_from_cpu $(($(cpu_of "$(pid 1)") - from))
}
memory() { for n in 1 3; do sample "$1_$n" "$(memory_of "$(pid $n)" Rss)"; done; }
wait_for 20 "no image anywhere" drop 1
sleep 25 # the daemons let go of what their start took
memory rss_before
for n in 1 2 3; do w $n debug stalls >/dev/null; done
for round in $(seq "$rounds"); do
    say "round $round"
    for n in 1 2 3; do wait_for 20 "no image on $n" drop $n || exit 1; done
    timed registry 1
    timed one_member 3
    wait_for 20 "no image on 3" drop 3 || exit 1
    w 2 image pull "$image" >/dev/null || exit 1
    timed two_members 3
done
memory rss_busy
sleep 25 # and of what the transfers took
memory rss_after
sort -k1,1 -k2,2n "$samples" | awk '
    function out() {
        m = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        printf "%-22s median %d %s, %d to %d, N %d\n", k, m, k ~ /^rss/ ? "KiB" : "ms", v[1], v[n], n
    }
    $1 != k { if (n) out(); k = $1; n = 0 }
    { v[++n] = $2 }
    END { out() }'
for n in 1 2 3; do echo "n$n: $(w $n debug stalls)"; done
