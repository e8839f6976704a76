#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images between members while members die in the middle of it, and past a damaged copy.
. "$(dirname "$0")/lib.sh"

begin blobs-faults 0
registry=$PREFIX.254:5079
trap 'registry_stop; finish' EXIT
for n in 1 2 3; do host_up $n --plain-http "$registry"; done
cluster_form 1 2 3

service() { # service NAME IMAGE REPLICAS: a Compose file; prints its path
    compose "$1" <<YAML
name: $1
services:
  web:
    image: $2
    command: ["sleep", "100000"]
    stop_grace_period: 0s
    deploy: {replicas: $3, placement: {max_replicas_per_node: 1}}
YAML
}
has() { w "$1" image ls | grep -q "$2"; } # has HOST IMAGE
drop() { # drop HOST IMAGE: by all its names, once nothing uses it
    local name
    for name in $(w "$1" image ls --json | jq -r '.[].name' | grep "${2%:*}[@:]"); do
        w "$1" image rm "$name" >/dev/null 2>&1
    done
    ! has "$1" "${2%:*}[@:]"
}

blob() { echo "$LAB_DATA/$1/images/blobs/sha256/${2#sha256:}"; } # blob HOST DIGEST
part() { echo "$LAB_DATA/$1/images/ingest/pull/${2#sha256:}.part"; }
part_has() { [ "$(stat -c %s "$(part "$1" "$2")" 2>/dev/null || echo 0)" -gt "$3" ]; }
right() { [ "sha256:$(sha256sum "$(blob "$1" "$2")" | cut -d' ' -f1)" = "$2" ]; }
slow() { in_host "$1" tc qdisc replace dev eth0 root tbf rate "$2" burst 64k latency 200ms; }
fast() { in_host "$1" tc qdisc del dev eth0 root; }

# --- a member dies while another one gets the image from it ---
registry_start "$registry"
noise_push "$registry" team/app 16 || exit 1
image=$registry/team/app:1
w 1 image pull "$image" >/dev/null
w 2 image pull "$image" >/dev/null
registry_stop
slow 1 50mbit
slow 2 50mbit
w 3 image pull "$image" >"$LAB_RUN/pull" 2>&1 &
pull=$!
test_case "an image is on its way" wait_for 10 "a part" part_has 3 "$noise_largest" 3000000
daemon_kill 2
ended=false
wait $pull && ended=true # in this shell: only it can
test_case "and comes though one of its members is killed" eval "cat '$LAB_RUN/pull'; $ended"
test_case "whole" right 3 "$noise_largest"
fast 1
daemon_start 2
wait_for 20 "member 2" members_up 1 3
fast 2

# --- a damaged copy ---
wait_for 10 "host 3 without the image" drop 3 "$image"
head -c 12M /dev/urandom | dd of="$(blob 2 "$noise_largest")" bs=1M seek=2 conv=notrunc 2>/dev/null
test_case "the damage is there" not right 2 "$noise_largest"
test_case "a damaged copy does not get in the way" w 3 image pull "$image"
test_case "what came is right" right 3 "$noise_largest"
test_case "whose it was is said" grep -q "n2 sent wrong bytes" "$LAB_RUN/3.log"
test_case "of the others it is not" not grep -q "n1 sent wrong" "$LAB_RUN/3.log"
wait_for 10 "host 3 without the image" drop 3 "$image"
wait_for 10 "host 1 without the image" drop 1 "$image"
test_case "nothing but a damaged copy is no image" not w 3 image pull "$image"
registry_start "$registry"
test_case "with its registry it is" w 3 image pull "$image"
test_case "and right" right 3 "$noise_largest"
for n in 2 3; do wait_for 10 "host $n without the image" drop $n "$image"; done

# --- the member that fetches for the others dies ---
noise_push "$registry" team/slow 16 || exit 1
image=$registry/team/slow:1
tc qdisc replace dev "$(lab_link 0)" root tbf rate 60mbit burst 64k latency 200ms
for n in 1 2 3; do
    w $n image pull "$image" >"$LAB_RUN/pull.$n" 2>&1 &
    pulls[n]=$!
done
fetcher() {
    local n
    for n in 1 2 3; do
        part_has $n "$noise_largest" 2000000 && echo $n && return
    done
    return 1
}
test_case "one member fetches" wait_for 10 "a fetcher" fetcher
dead=$(fetcher)
daemon_kill "$dead"
tc qdisc del dev "$(lab_link 0)" root
others_have() {
    local n
    for n in 1 2 3; do
        [ $n = "$dead" ] || { wait "${pulls[n]}" && right $n "$noise_largest"; } || { cat "$LAB_RUN/pull.$n"; return 1; }
    done
}
ended=false
others_have >"$LAB_RUN/others" 2>&1 && ended=true
test_case "the others get it all the same" eval "cat '$LAB_RUN/others'; $ended"
registry_stop
finish
