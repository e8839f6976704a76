#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What runs in the virtual machine, as its first process; the stages are check.sh's. Says
# "ok NAME" or "FAIL NAME" per case on the console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
w=/wherry/build/bin/wherry
group=/sys/fs/cgroup/service

ok() { echo "ok   vm: $1"; }
fail() { echo "FAIL vm: $1${2:+: $2}"; }
test_case() { # test_case NAME COMMAND...
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then ok "$name"; else fail "$name" "$(tail -5 <<<"$out")"; fi
}
wait_for() { # wait_for SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "not in time: $*"; return 1; }
        sleep 0.2
    done
}
is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }

# As systemd does for a unit with Delegate=yes: a group of its own, with the controllers.
delegate() {
    echo "+cpu +cpuset +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
    mkdir -p $group
    # The first process is not moved: nobody delegates to that one.
}
daemon() {
    ip link set lo up
    ip link add lan type veth peer name lan0
    ip addr add 10.9.9.1/24 dev lan
    ip link set lan up
    ip link set lan0 up
    # shellcheck disable=SC2016
    bash -c 'echo $$ >'$group'/cgroup.procs; exec setsid "$@"' bash \
        $w node --name vm --data /data/wherry --run /run/wherry --address 10.9.9.1 \
        --cgroup-parent "${group#/sys/fs/cgroup}/groups" >>/data/daemon.log 2>&1 &
    wait_for 60 test -S /run/wherry/wherry.sock
}
running() { is "$($w ps shop.web --json | jq '[.[] | select(.state == "running" and .desired == "run")] | length')" "$1"; }
container() { # container SERVICE: the group of its task
    find /sys/fs/cgroup -type d -path "*/$($w ps "$1" --json | jq -r '"t\(.[0].id)"')" | grep -v shim | head -1
}

stop() { # off or reboot, as a machine does when it is asked to
    sync
    mount -o remount,ro /data 2>/dev/null
    poweroff -f
}

runtime_tests() {
    local out
    echo "# runtime tests on cgroup2"
    out=$(TMPDIR=/data timeout 400 /wherry/build/tests/unit/runtime/container_test 2>&1)
    grep -E '^\[ +(OK|FAILED) +\] test_|ERROR|error' <<<"$out" | awk '
        $2 == "OK" {print "ok   vm: " $4} $2 == "FAILED" {print "FAIL vm: " $4; next} !/^\[/ {print}'
    grep -E 'container_start|cgroups' <<<"$out"
}

first() {
    runtime_tests
    test_case "the daemon starts in a delegated group" daemon
    test_case "it makes a cluster" $w init
    test_case "cgroups are version 2" is "$($w status --json | jq -r '.[0].cgroups')" v2
    test_case "an image is loaded" $w image load /wherry/image.tar
    cat >/tmp/shop.yaml <<'YAML'
name: shop
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "date >>/data/starts; while :; do sleep 1; done"]
    volumes: ["kept:/data"]
    stop_grace_period: 1s
    deploy: {resources: {limits: {cpus: "0.5", memory: 32M, pids: 20}}}
  small:
    image: demo/busybox:1
    command: ["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=40; stat -c 'wrote %s' /big; sleep 3600"]
    stop_grace_period: 1s
    storage_opt: {size: 16M}
  narrow:
    image: demo/busybox:1
    command: ["sh", "-c", "dd if=/dev/zero of=/full/old bs=1M count=4; dd if=/dev/zero of=/data/big bs=1M count=40; stat -c 'wrote %s' /data/big; sleep 3600"]
    volumes: ["narrow:/data", "full:/full"]
    stop_grace_period: 1s
  glutton:
    image: demo/busybox:1
    command: ["sh", "-c", "sleep 2; tail /dev/zero"]
    deploy: {restart_policy: {condition: none}, resources: {limits: {memory: 24M}}}
volumes:
  kept: {}
  narrow: {driver_opts: {size: 16M}}
  full: {}
YAML
    test_case "a stack runs" $w deploy -f /tmp/shop.yaml
    test_case "its service runs" wait_for 30 running 1
    local dir
    dir=$(container shop.web)
    test_case "memory limit" is "$(cat "$dir/memory.max")" 33554432
    test_case "processor limit" is "$(cat "$dir/cpu.max")" "50000 100000"
    test_case "limit of processes" is "$(cat "$dir/pids.max")" 20
    test_case "the containers are in the daemon's own group" test "${dir#"$group"/}" != "$dir"
    test_case "a service out of memory says so" wait_for 40 out_of_memory
    test_case "a writable layer is limited" wait_for 40 limited small
    test_case "a volume is limited" wait_for 40 limited narrow
    test_case "its list says so" bash -c "$w volume ls | grep -q 'narrow.* of 17 MB'"
    test_case "a volume with content gets a limit" grown
    sync
    echo "READY"
    # The host ends the machine now: its power is cut.
    sleep 600
}
grown() { # what is there counts, too
    sed -i "s/full: {}/full: {driver_opts: {size: 8M}}/; s/of=.full.old bs=1M count=4; .*wrote/of=\/full\/big bs=1M count=40; stat -c 'wrote/; s/%s' .data.big/%s' \/full\/big/" /tmp/shop.yaml
    $w deploy -d -f /tmp/shop.yaml || return 1
    # shellcheck disable=SC2016
    wait_for 60 bash -c '[ "$(stat -c %s /data/wherry/volumes/shop_full/big)" -gt 1000000 ] && [ "$(stat -c %s /data/wherry/volumes/shop_full/big)" -le 4194304 ]'
}
limited() { # limited SERVICE: less than 40 MB were written, and more than none
    local size
    size=$($w logs "shop.$1" | sed -n 's/.*wrote //p' | head -1)
    [ -n "$size" ] && [ "$size" -gt 1000000 ] && [ "$size" -le 16777216 ] || { $w logs "shop.$1"; return 1; }
}
out_of_memory() { $w ps shop.glutton | grep -qi "out of memory\|oom"; }

again() { # after the power came back
    test_case "the daemon starts $1" daemon
    test_case "its volume was kept, and it runs again $1" wait_for 60 started "$2"
    test_case "and says so" wait_for 20 running 1
    test_case "the images are whole $1" images
}
started() { is "$(find /data/wherry/volumes -name starts -exec cat {} + | wc -l)" "$1"; }
images() { # images: every blob is what its name says
    local file
    for file in /data/wherry/images/blobs/sha256/*; do
        is "$(sha256sum <"$file" | cut -d' ' -f1)" "$(basename "$file")" || return 1
    done
}

echo "# stage $1, kernel $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
delegate
case $1 in
first) first ;;
cut)
    again "after a power cut" 2
    echo "DONE"
    stop
    ;;
reboot)
    again "after a reboot" 3
    test_case "the stack goes" $w rm shop
    # shellcheck disable=SC2016
    test_case "and nothing of it stays in the cgroups" wait_for 30 bash -c '[ -z "$(find /sys/fs/cgroup -type d -path "*t[0-9]*")" ]'
    echo "DONE"
    stop
    ;;
esac
