#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a daemon made on a machine goes with it: links, routes, rules, mounts, control groups, files.
. "$(dirname "$0")/lib.sh"
begin uninstall 0
host_net 1
host_net 2

# All that a daemon changes of a machine's network, and must bring back.
network_of() {
    in_host "$1" sh -c 'ip -d link; ip addr; ip route show table all; ip rule; ip neigh show nud permanent; nft list ruleset' |
        grep -vE 'fe80::|^ff00::/8|valid_lft' | sed -E 's/(promiscuity|allmulti|minmtu|maxmtu) [0-9]+//g'
}
for n in 1 2; do network_of $n >"$LAB_RUN/before.$n"; done
same_network() { network_of "$1" | diff "$LAB_RUN/before.$1" -; }
no_folders() { [ ! -e "$LAB_DATA/$1" ] && [ ! -e "$LAB_RUN/$1" ]; }
no_mounts() { ! grep -q " $LAB_DATA/$1/\| $LAB_RUN/$1/" /proc/self/mountinfo; }
no_groups() { [ -z "$(host_cgroup_dirs "$1")" ]; }
group=
uninstall() { # uninstall N [OPTION...]
    local n=$1
    shift
    in_host "$n" "$WHERRY" uninstall --data "$LAB_DATA/$n" --run "$LAB_RUN/$n" --yes "$@"
}

for n in 1 2; do daemon_start $n; done
cluster_form 1 2 || { echo "FAIL uninstall: no cluster"; exit 1; }
load busybox 1 2
load web 1 2
file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/web:1
    ports: ["8080:80"]
    secrets: [token]
    volumes: ["data:/data", {type: tmpfs, target: /t}]
    deploy: {placement: {constraints: [node.hostname == n1]}}
  other:
    image: demo/busybox:1
    command: [sleep, "100000"]
    deploy: {mode: global}
volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs}}}
secrets: {token: {environment: TOKEN}}
YAML
)
TOKEN=x test_case "a stack with all that leaves traces" w 1 deploy -f "$file"
test_case "and a container of no stack" w 2 container run -d --name alone demo/busybox:1 sleep 100000
test_case "a running daemon is not taken away" says "a daemon runs on" uninstall 1
test_case "a folder of somebody else's" says "no data folder" in_host 1 "$WHERRY" uninstall --data /etc --yes
test_case "nobody is there to be asked" says "yes" in_host 1 "$WHERRY" uninstall --data "$LAB_DATA/1" --run "$LAB_RUN/1"

# A daemon that was killed, with its containers running.
test_case "more than nothing is there" not same_network 1
daemon_kill 1
groups=$(host_cgroup_dirs 1 | wc -l)
test_case "its containers have groups" [ "$groups" -gt 3 ]
dirs=$(host_cgroup_dirs 1 | sort -r)
test_case "uninstall" uninstall 1
test_case "the network is as it was" same_network 1
test_case "no folders" no_folders 1
test_case "no mounts" no_mounts 1
gone() { local d; for d in $dirs; do [ ! -e "$d" ] || { echo "$d is there"; return 1; }; done; }
test_case "no control groups" gone

# One that ended well; its volumes are to stay.
w 2 volume create kept >/dev/null
echo precious >"$LAB_DATA/2/volumes/kept/file" 2>/dev/null || echo precious >"$(w 2 volume inspect kept | jq -r '.[0].path')/file"
dirs=$(host_cgroup_dirs 2 | sort -r)
daemon_stop 2
test_case "uninstall but for volumes" uninstall 2 --keep-volumes
test_case "the network is as it was there too" same_network 2
test_case "volumes are there" bash -c "grep -rq precious $LAB_DATA/2/volumes"
test_case "and nothing else" [ "$(ls -A "$LAB_DATA/2")" = volumes ]
test_case "no control groups there either" gone
test_case "a second time says so" says "no data folder" uninstall 2
finish
