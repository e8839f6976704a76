#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of volumes, where the file system shares blocks (XFS here): of one moment, and back.
. "$(dirname "$0")/lib.sh"

begin snapshot 0
data=$LAB_DATA
mkdir -p "$data/1"
truncate -s 600M "$LAB_RUN/xfs"
mkfs.xfs -q "$LAB_RUN/xfs"
mount -o loop "$LAB_RUN/xfs" "$data/1"
away() {
    host_kill 1
    umount -l "$data/1"
    finish
}
trap away EXIT
host_up 1
cluster_form 1
load busybox 1
file=$(compose shop <<'YAML'
name: shop
services:
  # Two files that always have the same number, but for a moment in between.
  db:
    image: demo/busybox:1
    command: ["sh", "-c", "ln -f /data/kept /data/kept2 || { echo kept >/data/kept; ln /data/kept /data/kept2; }; i=0; while :; do i=$$((i+1)); echo $$i >/data/a; echo $$i >/data/b; done"]
    volumes: ["data:/data"]
    stop_grace_period: 0s
volumes: {data: }
YAML
)
test_case "deploy" w 1 deploy -f "$file"
writes() { [ -s "$data/1/volumes/shop_data/b" ]; }
wait_for 10 "it writes" writes
blob() { dd if=/dev/urandom of="$data/1/volumes/shop_data/blob" bs=1M count=100 2>/dev/null; sync; }
blob
used() { df --output=used -k "$data/1" | tail -1; }

before=$(used)
test_case "a snapshot" w 1 volume snapshot create shop_data first
test_case "takes no room" [ $(($(used) - before)) -lt 20000 ]
for i in 1 2 3 4 5 6; do w 1 volume snapshot create -q shop_data "s$i" >/dev/null; done
torn=0
for i in first s1 s2 s3 s4 s5 s6; do
    s=$data/1/volumes/.snapshots/shop_data/$i
    a=$(cat "$s/a") b=$(cat "$s/b")
    # What is written is a, then b: a torn copy has them further apart than the program ever had.
    [ -z "$a" ] || [ -z "$b" ] || [ $((a - b)) = 0 ] || [ $((a - b)) = 1 ] || { torn=$i; echo "$i: $a $b"; }
done
test_case "each is of one moment" [ $torn = 0 ]
test_case "files of two names are one" [ "$(stat -c %h "$data/1/volumes/.snapshots/shop_data/first/kept")" = 2 ]
goes_on() { local a; a=$(cat "$data/1/volumes/shop_data/a"); sleep 0.3; [ "$(cat "$data/1/volumes/shop_data/a")" != "$a" ]; }
test_case "and the program goes on" wait_for 5 "a new number" goes_on
test_case "one with a name that is taken" says "has a snapshot 'first' already" w 1 volume snapshot create shop_data first
test_case "one of a volume that is not there" says "there is no volume 'none'" w 1 volume snapshot create none
test_case "one with a bad name" says "is no name for a snapshot" w 1 volume snapshot create shop_data ../x
named() { [[ "$(w 1 volume snapshot create -q shop_data)" =~ ^20[0-9]{6}-[0-9]{6}$ ]]; }
test_case "one named by the time" named
test_case "they are listed" [ "$(w 1 volume snapshot ls --json shop_data | jq length)" = 8 ]

w 1 volume backup --snapshot first shop_data "$LAB_RUN/first.tar" >/dev/null
backed() { [ "$(tar -xOf "$LAB_RUN/first.tar" ./a 2>/dev/null || tar -xOf "$LAB_RUN/first.tar" a)" = "$(cat "$data/1/volumes/.snapshots/shop_data/first/a")" ]; }
test_case "a backup of one" backed

test_case "not while it is in use" says "is used by container" w 1 volume snapshot restore shop_data first
w 1 exec shop.db.1 sh -c 'rm -f /data/blob /data/kept; echo broken >/data/kept2'
w 1 stop shop >/dev/null
test_case "restored" wait_for 10 "it is unused" w 1 volume snapshot restore shop_data first
content() { [ "$(cat "$data/1/volumes/shop_data/kept")" = kept ] && [ -s "$data/1/volumes/shop_data/blob" ]; }
test_case "with all that was there" content
w 1 start shop >/dev/null
test_case "and the service runs" wait_for 10 "it writes" goes_on

# A daemon that is killed in the middle leaves containers frozen, and their names.
id=t$(tasks 1 shop | jq -r '.[] | select(.state == "running" and .desired == "run") | .id')
daemon_kill 1
group=$(host_cgroup 1)/container/$id
if [ -e "/sys/fs/cgroup/freezer/$group" ]; then
    echo FROZEN >"/sys/fs/cgroup/freezer/$group/freezer.state"
else
    echo 1 >"/sys/fs/cgroup/$group/cgroup.freeze"
fi
stands() { ! goes_on; }
test_case "frozen" wait_for 5 "no new number" stands
echo "$id" >"$LAB_RUN/1/frozen"
daemon_start 1
test_case "goes on with the next daemon" wait_for 10 "it writes" goes_on
leads() { has_leader 1; }
wait_for 20 "a leader" leads

w 1 rm shop >/dev/null
keeps() { says "snapshots, which would go too" w 1 volume rm shop_data; }
test_case "unless it is meant" wait_for 10 "the refusal" keeps
test_case "one is deleted" w 1 volume snapshot rm shop_data first
test_case "all, with their volume" w 1 volume rm --force shop_data
test_case "nothing of them is left" [ ! -e "$data/1/volumes/.snapshots/shop_data" ]
away
