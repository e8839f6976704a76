#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a member costs in a cluster of many: memory, writes and processor time of each of twenty at
# rest, and how long they take to form it. Prints a table; nothing is judged.
#
#   members.sh        BENCH_MEMBERS=20, watched for BENCH_SECONDS
here=$(dirname "$0")
. "$here/lib.sh"
. "$top/tests/e2e/lib.sh"
members=${BENCH_MEMBERS:-20}

rows() {
    cat <<ROWS
formed|$members members joined, one after the other|ms|||
rss|resident, each|KiB|< 15 MB||
anon|of its own, each|KiB|||
pss|proportional (PSS), each|KiB|||
rest_written|written by all of them a minute, at rest|B|0||
rest_cpu|processor time of all of them a minute, at rest|ms|||
ROWS
}

pids() { for n in $(seq "$members"); do daemon_pid "$n"; done; }

begin bench-members 0
trap lab_down EXIT
samples_begin members
for n in $(seq "$members"); do host_net "$n"; done
for n in $(seq "$members"); do daemon_start "$n" & done
wait
say "$members daemons run"
start=$(now)
# shellcheck disable=SC2046
cluster_form $(seq "$members") || exit 1
sample formed "$(since_ms "$start")"
say "they are a cluster; watched for $seconds s"
sleep 5
# shellcheck disable=SC2046
watch_idle rest $(pids)
for p in $(pids); do
    sample rss "$(memory_of "$p" Rss)"
    sample pss "$(memory_of "$p" Pss)"
    sample anon "$(awk '/^RssAnon/ {print $2}' "/proc/$p/status")"
done
echo
echo "$(nproc) processors, $(uname -sr), load $(cut -d' ' -f1-3 /proc/loadavg), $(date +%F)"
echo
table
