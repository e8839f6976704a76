#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a Compose file says of a container, looked at from inside the container and from its machine.
. "$(dirname "$0")/lib.sh"

begin options 1
load busybox 1
folder=$LAB_RUN/projects/opts
mkdir -p "$folder"
echo 'from.file=yes' >"$folder/opts.labels"
echo '{"defaultAction": "SCMP_ACT_ALLOW",
       "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}' \
    >"$folder/no-mkdir.json"
made=$LAB_DATA/made/by/the/node

file=$(compose opts <<YAML
name: opts
services:
  full:
    image: demo/busybox:1
    platform: linux/$(dpkg --print-architecture)
    pull_policy: never
    command: ["sleep", "100000"]
    labels: {own: "yes"}
    label_file: opts.labels
    group_add: ["4000"]
    hostname: box
    domainname: corp.example
    read_only: true
    cap_drop: [ALL]
    cap_add: [CHOWN, cap_net_raw]
    security_opt: ["no-new-privileges:true"]
    sysctls: {net.core.somaxconn: 777}
    ulimits: {nofile: {soft: 500, hard: 600}, core: 0}
    shm_size: 16m
    mem_limit: 64m
    cpu_quota: 50000
    cpu_shares: 512
    cpuset: "0"
    pids_limit: 50
    oom_score_adj: 500
    devices: ["/dev/zero:/dev/nothing:r"]
    tmpfs: ["/scratch:size=1m,mode=700"]
    volumes:
      - {type: tmpfs, target: /cache, tmpfs: {size: 2m, mode: 1777}}
      - {type: bind, source: $made, target: /made, bind: {create_host_path: true}}
    dns: ["$PREFIX.1"]
    dns_search: [corp.example]
    dns_opt: ["timeout:1", "attempts:1"]
    extra_hosts: ["gate=host-gateway", "six=2001:db8::1"]
    logging: {driver: local, options: {max-size: 8k, max-file: "2"}}
    stop_grace_period: 1s
  plain:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    init: true
    tty: true
    stdin_open: true
    stop_grace_period: 1s
  host:
    image: demo/busybox:1
    command: ["sh", "-c", "echo loud; exec sleep 100000"]
    logging: {driver: none}
    privileged: true
    network_mode: host
    pid: host
    ipc: host
    uts: host
    stop_grace_period: 1s
  filtered:
    image: demo/busybox:1
    command: ["sh", "-c", "echo loud; mkdir /tmp/made 2>/tmp/said; exec sleep 100000"]
    tmpfs: /tmp
    security_opt: ["seccomp:no-mkdir.json"]
    runtime: runc
    stop_grace_period: 1s
  apart:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    userns_mode: auto
    stop_grace_period: 1s
  elsewhere:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    platform: linux/riscv64
YAML
)

pid_of() { # of a service's first task
    pids_in 1 "t$(tasks 1 "opts.$1" | jq -r '[.[] | select(.desired == "run")][0].id')" | head -1
}
inside() { # inside SERVICE COMMAND...
    local pid
    pid=$(pid_of "$1")
    shift
    nsenter -t "$pid" -m -n -u -i "$@"
}
status() { awk -v k="$2:" '$1 == k {$1 = ""; print substr($0, 2)}' "/proc/$(pid_of "$1")/status"; }
group_file() { cat /sys/fs/cgroup/"$1"/"$(host_cgroup 1)/container/t$(tasks 1 opts.full | jq -r '.[0].id')/$2"; }
limit() { awk -v n="$2" 'index($0, n) == 1 {sub(n, ""); print $1, $2}' "/proc/$(pid_of "$1")/limits"; }
own_namespace() { [ "$(readlink "/proc/$(pid_of "$1")/ns/$2")" != "$(readlink "/proc/$(daemon_pid 1)/ns/$2")" ]; }
of_type() { grep -q "^tmpfs $1 tmpfs .*$2\|^shm $1 tmpfs .*$2" "/proc/$(pid_of full)/mounts"; }

test_case "deploy" w 1 deploy -f "$file" --detach
for service in full plain host filtered apart; do
    test_case "$service runs" wait_for 20 "$service" running_is 1 "opts.$service" 1
done

# --- what it may ------------------------------------------------------------------------------------
test_case "its capabilities are those of the file" [ "$(status full CapEff)" = 0000000000002001 ]
test_case "those of another are the default" [ "$(status plain CapEff)" = 00000000a80425fb ]
test_case "no new privileges" [ "$(status full NoNewPrivs)" = 1 ]
test_case "the default filter of system calls" [ "$(status full Seccomp)" = 2 ]
test_case "a group more" [ "$(status full Groups | grep -cw 4000)" = 1 ]
test_case "its root is read-only" not inside full touch /x
test_case "a sysctl of its own" [ "$(inside full cat /proc/sys/net/core/somaxconn)" = 777 ]
test_case "a device under another name" [ "$(inside full head -c 3 /dev/nothing | od -An -tx1)" = " 00 00 00" ]
test_case "limits of its processes" [ "$(limit full 'Max open files')" = "500 600" ]
test_case "no core files" [ "$(limit full 'Max core file size')" = "0 0" ]
test_case "first to go when memory is out" [ "$(cat "/proc/$(pid_of full)/oom_score_adj")" = 500 ]
daemons() { awk -v k="$1:" '$1 == k {print $2}' "/proc/$(daemon_pid 1)/status"; }
test_case "a privileged one has all the capabilities there are" [ "$(status host CapEff)" = "$(daemons CapEff)" ]
test_case "a filter of the file's own" wait_for 5 "mkdir" inside filtered grep -q 'No space left' /tmp/said
test_case "an OCI runtime by name" grep -q '"oci_runtime": "runc"' <(w 1 container inspect opts.filtered)
test_case "root in a user namespace is nobody outside" [ "$(status apart Uid | awk '{print ($1 > 0)}')" = 1 ]
test_case "and no filter" [ "$(status host Seccomp)" = 0 ]

program() { pgrep -P "$(pid_of plain)"; }
test_case "an init is the first process, the program its child" [ "$(cat "/proc/$(program)/comm")" = sleep ]
test_case "the program has a terminal" [ "$(awk '{print $7}' "/proc/$(program)/stat")" != 0 ]
test_case "one that asks for none has none" [ "$(awk '{print $7}' "/proc/$(pid_of host)/stat")" = 0 ]
logged() { w 1 logs "opts.$1" | grep -q loud; }
test_case "output is kept" wait_for 5 "a line" logged filtered
test_case "that of driver none is not" not logged host

# --- what it has ------------------------------------------------------------------------------------
test_case "CPUs" [ "$(group_file cpuset cpuset.cpus)" = 0 ]
test_case "half a CPU" [ "$(group_file cpu cpu.cfs_quota_us)" = 50000 ]
test_case "its share of them" [ "$(group_file cpu cpu.shares)" = 512 ]
test_case "memory" [ "$(group_file memory memory.limit_in_bytes)" = 67108864 ]
test_case "processes" [ "$(group_file pids pids.max)" = 50 ]
test_case "/dev/shm" of_type /dev/shm size=16384k
test_case "a tmpfs of the short form" of_type /scratch 'size=1024k,mode=700'
test_case "a tmpfs of the long form" of_type /cache size=2048k
test_case "the node made the folder of a bind mount" [ -d "$made" ]
test_case "and it is mounted" inside full touch /made/here
test_case "what the container made is there" [ -e "$made/here" ]

# --- names ------------------------------------------------------------------------------------------
test_case "its host name" [ "$(inside full hostname)" = box ]
test_case "its domain" [ "$(inside full cat /proc/sys/kernel/domainname)" = corp.example ]
hosts_has() { inside full grep -qE "^$1$" /etc/hosts; }
test_case "a line of hosts for it" hosts_has '10\..*\sbox.corp.example box'
test_case "host-gateway is the node" hosts_has "${PREFIX//./\\.}\\.1\\sgate"
test_case "an address of IPv6" hosts_has '2001:db8::1\ssix'
conf_has() { inside full grep -qE "$1" /etc/resolv.conf; }
test_case "the cluster is asked for names" conf_has '^nameserver 169.254.1.1$'
test_case "a search list" conf_has '^search corp.example$'
test_case "options of the resolver" conf_has '^options timeout:1 attempts:1$'
test_case "names of services go on working" inside full nslookup plain 169.254.1.1
# Whoever listens there is asked in the container's place.
asked=$LAB_RUN/asked
in_host 1 timeout 10 socat -u "UDP-RECV:53,bind=$PREFIX.1" "OPEN:$asked,creat" &
listener=$!
wait_for 5 "listener" in_host 1 sh -c 'ss -lun | grep -q ":53 "' >/dev/null
inside full timeout 3 nslookup far.example 169.254.1.1 >/dev/null 2>&1
was_asked() { grep -qa 'far.example' <(tr '\003\007' '..' <"$asked" | tr -d '\000'); }
test_case "other names are asked from the servers of dns:" wait_for 5 "a query" was_asked
kill "$listener" 2>/dev/null

# --- namespaces -------------------------------------------------------------------------------------
for ns in net pid ipc uts; do
    test_case "a namespace of its own: $ns" own_namespace plain $ns
done
test_case "the machine's network" not own_namespace host net
for ns in pid ipc uts; do
    test_case "the machine's namespace: $ns" not own_namespace host $ns
done

# --- the cluster ------------------------------------------------------------------------------------
explained() { grep -q '1 are not linux/riscv64' <(w 1 ps opts.elsewhere); }
test_case "no node is of that platform, and that is said" wait_for 5 "reason" explained
spec() { w 1 inspect opts.full | jq -e "$1" >/dev/null; }
test_case "inspect shows the options" spec '.[0].spec.options | .shm_bytes == 16777216 and .cap_add == ["CHOWN", "NET_RAW"]'
test_case "and the labels of the file" spec '[.[0].spec.labels[].key] == ["from.file", "own"]'
sed -i 's/shm_size: 16m/shm_size: 32m/' "$file"
test_case "a plan names what changes" grep -q 'shm_bytes' <(w 1 plan -f "$file")
plan_bad() { sed 's/cap_drop: \[ALL\]/cap_drop: [FLY]/' "$file" >"$folder/bad.yaml" && w 1 plan -f "$folder/bad.yaml"; }
test_case "nonsense is refused where it stands" says 'bad.yaml:[0-9]+:[0-9]+: services.full.cap_drop: .FLY. must be a capability' plan_bad

# --- who may ----------------------------------------------------------------------------------------
host_net 9
home=$LAB_RUN/home
mkdir -p "$home"
c() { in_host 9 env -u WHERRY_HOST -u WHERRY_TOKEN -u XDG_CONFIG_HOME HOME="$home" "$WHERRY" "$@"; }
c login "$PREFIX.1" --name ci --token "$(w 1 token create -q --role deployer ci)" >/dev/null
small() { # small KEY: VALUE
    compose small <<YAML
name: small
services:
  one:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    $1
YAML
}
for key in 'privileged: true' 'cap_add: [SYS_ADMIN]' 'devices: [/dev/null]' 'pid: host' 'network_mode: host' \
    'security_opt: ["seccomp=unconfined"]' 'volumes: ["/:/host"]' 'annotations: {run.oci.keep: x}'; do
    test_case "a deployer may not have $key" says 'only an admin may deploy this' c deploy -f "$(small "$key")" --detach
done
test_case "he may have less" c deploy -f "$(small 'cap_drop: [ALL]')" --detach
test_case "rm" w 1 rm small
test_case "and the other" w 1 rm opts
finish
