/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key that says what a container may: its forms as the spec has them, and its refusals.
 */
#include "cli/compose.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "compose_forms.h"

static void security_is_read(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"cap_add: [CAP_NET_ADMIN, sys_time]", "\"cap_add\": [\"NET_ADMIN\", \"SYS_TIME\"]"},
        {"cap_add: [ALL]\n    cap_drop: [MKNOD]",
         "\"cap_add\": [\"ALL\"], \"cap_drop\": [\"MKNOD\"]"},
        {"cap_drop: [all]", "\"cap_drop\": [\"ALL\"]"},
        {"cap_add:", "\"cap_add\": []"},
        {"privileged: true", "\"privileged\": true"},
        {"privileged: false", "\"privileged\": false"},
        {"security_opt: [no-new-privileges]", "\"no_new_privileges\": true"},
        {"security_opt: ['no-new-privileges:true']", "\"no_new_privileges\": true"},
        {"security_opt: ['no-new-privileges=false']", "\"no_new_privileges\": false"},
        {"security_opt: ['seccomp:unconfined']", "\"seccomp\": \"unconfined\""},
        {"security_opt: [seccomp=unconfined, seccomp=builtin]", "\"seccomp\": \"\""},
        {"security_opt: [apparmor=web-profile]", "\"apparmor\": \"web-profile\""},
        {"security_opt: ['apparmor:unconfined', 'label=disable']", "\"apparmor\": \"\""},
        {"sysctls: {net.core.somaxconn: 1024, kernel.shm_rmid_forced: '1'}",
         "\"sysctls\": [{\"key\": \"kernel.shm_rmid_forced\", \"value\": \"1\"}, "
         "{\"key\": \"net.core.somaxconn\", \"value\": \"1024\"}]"},
        {"sysctls: ['net.ipv4.ip_local_port_range=1024 65535', fs.mqueue.msg_max=20]",
         "\"sysctls\": [{\"key\": \"fs.mqueue.msg_max\", \"value\": \"20\"}, "
         "{\"key\": \"net.ipv4.ip_local_port_range\", \"value\": \"1024 65535\"}]"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
    static const struct form faults[] = {
        {"cap_add: [FLY]", "c.yaml:4:15: services.web.cap_add: 'FLY' must be a capability of Lin"},
        {"cap_add: NET_ADMIN", "c.yaml:4:14: services.web.cap_add: must be a list of capab"},
        {"privileged: 2", "c.yaml:4:17: services.web.privileged: '2' must be true or false"},
        {"security_opt: [nonsense]", "c.yaml:4:20: services.web.security_opt: 'nonsense' is not"},
        {"security_opt: [systempaths=unconfined]",
         "c.yaml:4:20: services.web.security_opt: 'systempaths' is not supported yet; no-new"},
        {"security_opt: [no-new-privileges=1]",
         "c.yaml:4:20: services.web.security_opt: no-new-privileges is true or false"},
        {"security_opt: [seccomp=]", "c.yaml:4:20: services.web.security_opt: seccomp takes"},
        {"security_opt: [seccomp=/nowhere.json]",
         "c.yaml:4:20: services.web.security_opt: the seccomp profile: open /nowhere.json"},
        {"security_opt: [seccomp=/dev/zero]",
         "c.yaml:4:20: services.web.security_opt: '/dev/zero' is no regular file"},
        {"security_opt: [label=type:x]",
         "c.yaml:4:20: services.web.security_opt: label: the nodes use no SELinux"},
        {"security_opt: ['apparmor=a b']", "c.yaml:4:20: services.web.security_opt: apparmor t"},
        {"sysctls: {vm.swappiness: 1}",
         "c.yaml:4:14: services.web.sysctls: 'vm.swappiness' must be a setting that a container"},
        {"sysctls: {net..x: 1}", "c.yaml:4:14: services.web.sysctls: 'net..x' must be"},
        {"sysctls: {net/../kernel: 1}", "c.yaml:4:14: services.web.sysctls: 'net/../kernel' must"},
        {"sysctls: [net.core.somaxconn]",
         "c.yaml:4:14: services.web.sysctls: 'net.core.somaxconn' takes a value of one line"},
        {"network_mode: host\n    sysctls: [net.core.somaxconn=1]",
         "c.yaml:2:3: services.web: sysctls: with network_mode: host, net.core.somaxconn is the"},
        {"ipc: host\n    sysctls: [kernel.msgmax=1]",
         "c.yaml:2:3: services.web: sysctls: with ipc: host, kernel.msgmax is the machine's"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void limits_are_read(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"shm_size: 128m", "\"shm_bytes\": 134217728"},
        {"shm_size: 4096", "\"shm_bytes\": 4096"},
        {"mem_limit: 64m\n    memswap_limit: 128m", "\"memswap_bytes\": 134217728"},
        {"mem_limit: 64m\n    memswap_limit: -1", "\"memswap_bytes\": -1"},
        {"mem_swappiness: 0", "\"swappiness_set\": 1"},
        {"mem_swappiness: '100'", "\"swappiness_set\": 101"},
        {"oom_kill_disable: true", "\"oom_kill_disable\": true"},
        {"oom_score_adj: -1000", "\"oom_score_adj\": -1000"},
        {"cpuset: 0-3,7", "\"cpuset\": \"0-3,7\""},
        {"cpu_shares: 512", "\"cpu_shares\": 512"},
        {"cpu_quota: 50000", "\"cpu_milli\": 500"},
        {"cpu_period: 20ms\n    cpu_quota: 40ms", "\"cpu_milli\": 2000"},
        {"cpu_quota: -1", "\"cpu_milli\": 0"},
        {"cpu_quota: 25000\n    cpus: 0.25", "\"cpu_milli\": 250"},
        {"ulimits: {nofile: 65536, core: -1}",
         "\"ulimits\": [{\"name\": \"nofile\", \"soft\": 65536, \"hard\": 65536}, "
         "{\"name\": \"core\", \"soft\": -1, \"hard\": -1}]"},
        {"ulimits: {nproc: {soft: 10, hard: unlimited}}",
         "\"ulimits\": [{\"name\": \"nproc\", \"soft\": 10, \"hard\": -1}]"},
        {"blkio_config: {weight: 300, weight_device: [{path: /dev/sda, weight: 400}], "
         "device_read_bps: [{path: /dev/sda, rate: 12mb}], "
         "device_write_bps: [{path: /dev/sda, rate: 1024}], "
         "device_read_iops: [{path: /dev/sda, rate: 120}], "
         "device_write_iops: [{path: /dev/sdb, rate: '30'}]}",
         "\"blkio\": {\"weight\": 300, \"weights\": [{\"path\": \"/dev/sda\", \"value\": 400}], "
         "\"read_bps\": [{\"path\": \"/dev/sda\", \"value\": 12582912}], "
         "\"write_bps\": [{\"path\": \"/dev/sda\", \"value\": 1024}], "
         "\"read_iops\": [{\"path\": \"/dev/sda\", \"value\": 120}], "
         "\"write_iops\": [{\"path\": \"/dev/sdb\", \"value\": 30}]}"},
        {"storage_opt: {size: 1G}", "\"storage_bytes\": 1073741824"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
    static const struct form faults[] = {
        {"shm_size: 0", "c.yaml:4:15: services.web.shm_size: must be at least 4096"},
        {"memswap_limit: 1g", "c.yaml:2:3: services.web: memswap_limit: is memory and swap toget"},
        {"mem_limit: 2g\n    memswap_limit: 1g",
         "c.yaml:2:3: services.web: memswap_limit: is memory and swap together, so not less"},
        {"mem_swappiness: 101", "c.yaml:4:21: services.web.mem_swappiness: '101' must be a whole"},
        {"oom_score_adj: 1001", "c.yaml:4:20: services.web.oom_score_adj: '1001' must be a whole"},
        {"cpuset: 3-1", "c.yaml:4:13: services.web.cpuset: '3-1' must be a list of CPUs"},
        {"cpuset: 1,", "c.yaml:4:13: services.web.cpuset: '1,' must be a list of CPUs"},
        {"cpuset: '99999'", "c.yaml:4:13: services.web.cpuset: '99999' must be"},
        {"cpu_shares: 1", "c.yaml:4:17: services.web.cpu_shares: must be 0 (not given) or at le"},
        {"cpu_period: 20000", "c.yaml:4:17: services.web: cpu_period is that of cpu_quota"},
        {"cpu_period: 5\n    cpu_quota: 5000",
         "c.yaml:4:17: services.web.cpu_period: '5' must be 1000 to 1000000 microseconds"},
        {"cpu_quota: 50000\n    cpus: 2", "c.yaml:4:16: services.web: cpus and cpu_quota differ"},
        {"cpu_quota: 50000\n    deploy: {resources: {limits: {cpus: 2}}}",
         "c.yaml:4:16: services.web: cpus and deploy.resources differ"},
        {"cpu_count: 2", "c.yaml:4:5: services.web.cpu_count: is for Windows containers"},
        {"cpu_percent: 2", "c.yaml:4:5: services.web.cpu_percent: is for Windows containers"},
        {"cpu_rt_runtime: 2", "c.yaml:4:5: services.web.cpu_rt_runtime: takes a kernel that"},
        {"cpu_rt_period: 2", "c.yaml:4:5: services.web.cpu_rt_period: takes a kernel that"},
        {"ulimits: {nofiles: 1}", "c.yaml:4:15: services.web.ulimits: 'nofiles' must be a limit"},
        {"ulimits: {nofile: {soft: 2, hard: 1}}",
         "c.yaml:4:15: services.web.ulimits.nofile: the soft limit is higher"},
        {"ulimits: {nofile: {soft: -1, hard: 1}}",
         "c.yaml:4:15: services.web.ulimits.nofile: the soft limit is higher"},
        {"ulimits: {nofile: {soft: 2}}",
         "c.yaml:4:15: services.web.ulimits.nofile: needs both soft: and hard:"},
        {"ulimits: {nofile: -2}", "c.yaml:4:23: services.web.ulimits.nofile: '-2' must be a whole"},
        {"blkio_config: {weight: 9}",
         "c.yaml:4:28: services.web.blkio_config.weight: '9' must be a whole number from 10 to"},
        {"blkio_config: {device_read_bps: [{path: /dev/sda}]}",
         "c.yaml:4:38: services.web.blkio_config.device_read_bps: a device needs path: and rate:"},
        {"blkio_config: {device_read_bps: [{path: sda, rate: 1}]}",
         "c.yaml:4:45: services.web.blkio_config.device_read_bps.path: 'sda' must be an absolute"},
        {"storage_opt: {sise: 1G}",
         "c.yaml:4:19: services.web.storage_opt: unknown key 'sise' (did you mean 'size'?)"},
        {"cgroup_parent: x", "c.yaml:4:5: services.web.cgroup_parent: each task has a group of"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void devices_and_memory_file_systems_are_read(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"devices: [/dev/fuse]",
         "\"devices\": [{\"source\": \"/dev/fuse\", \"target\": \"\", \"access\": \"\"}]"},
        {"devices: ['/dev/a:/dev/b']",
         "{\"source\": \"/dev/a\", \"target\": \"/dev/b\", \"access\": \"\"}"},
        {"devices: ['/dev/a:/dev/b:r']",
         "{\"source\": \"/dev/a\", \"target\": \"/dev/b\", \"access\": \"r\"}"},
        {"devices: ['/dev/a:rw']",
         "{\"source\": \"/dev/a\", \"target\": \"\", \"access\": \"rw\"}"},
        {"devices: [{source: /dev/a, target: /dev/b, permissions: rwm}]",
         "{\"source\": \"/dev/a\", \"target\": \"/dev/b\", \"access\": \"rwm\"}"},
        {"device_cgroup_rules: ['c 1:3 mr', 'a 7:* rmw']",
         "\"device_rules\": [\"c 1:3 mr\", \"a 7:* rmw\"]"},
        {"tmpfs: /run",
         "\"tmpfs\": [{\"target\": \"/run\", \"size_bytes\": 0, \"mode\": 0, \"options\": []}]"},
        {"tmpfs: ['/run:size=64m,mode=1770,noexec,uid=1000', /tmp/]",
         "\"tmpfs\": [{\"target\": \"/run\", \"size_bytes\": 67108864, \"mode\": 1016, "
         "\"options\": [\"noexec\", \"uid=1000\"]}, {\"target\": \"/tmp\""},
        {"volumes: [{type: tmpfs, target: /c, read_only: true, tmpfs: {size: 1k, mode: 0700}}]",
         "\"tmpfs\": [{\"target\": \"/c\", \"size_bytes\": 1024, \"mode\": 448, "
         "\"options\": [\"ro\"]}]"},
        {"volumes: [{type: tmpfs, target: /c}]", "\"tmpfs\": [{\"target\": \"/c\""},
        {"volumes: ['/a:/b:ro,rslave']",
         "\"read_only\": true, \"propagation\": \"rslave\", \"create_source\": false"},
        {"volumes: [{type: bind, source: /a, target: /b, bind: {propagation: shared, "
         "create_host_path: true}}]",
         "\"propagation\": \"shared\", \"create_source\": true"},
        {"volumes: [{type: volume, target: /b, volume: {nocopy: true}}]",
         "\"mounts\": [{\"kind\": \"volume\", \"source\": \"\", \"target\": \"/b\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
    static const struct form faults[] = {
        {"devices: [dev/a]", "c.yaml:4:15: services.web.devices: 'dev/a' must be an absolute path"},
        {"devices: ['vendor.com/gpu=0']",
         "c.yaml:4:15: services.web.devices: 'vendor.com/gpu=0': CDI devices are not supported"},
        {"devices: ['/dev/../etc:/b']", "c.yaml:4:15: services.web.devices: '/dev/../etc' must"},
        {"devices: ['/a:/b:rr']", "c.yaml:4:15: services.web.devices: 'rr' must be of the let"},
        {"devices: ['/a:/b:/c']", "c.yaml:4:15: services.web.devices: '/c' must be of the let"},
        {"devices: [{target: /a}]", "c.yaml:4:15: services.web.devices: '' must be an absolute"},
        {"device_cgroup_rules: ['d 1:3 r']",
         "c.yaml:4:27: services.web.device_cgroup_rules: 'd 1:3 r' must be a rule"},
        {"device_cgroup_rules: ['c 1:3']",
         "c.yaml:4:27: services.web.device_cgroup_rules: 'c 1:3' must be a rule"},
        {"device_cgroup_rules: ['c 1:3 r', 'c 1:3 r']",
         "c.yaml:4:38: services.web.device_cgroup_rules: 'c 1:3 r' is there twice"},
        {"tmpfs: run", "c.yaml:4:12: services.web.tmpfs: the place in the container, 'run'"},
        {"tmpfs: /", "c.yaml:4:12: services.web.tmpfs: the place in the container, '/'"},
        {"tmpfs: [/a, /a/]", "c.yaml:4:17: services.web.tmpfs: '/a' is mounted twice"},
        {"tmpfs: '/a:nonsense'", "c.yaml:4:12: services.web.tmpfs: 'nonsense' must be an option"},
        {"tmpfs: '/a:size=50%'", "c.yaml:4:12: services.web.tmpfs: a share of the memory, '50%'"},
        {"tmpfs: '/a:mode=888'", "c.yaml:4:12: services.web.tmpfs: '888' must be permission bits"},
        {"tmpfs: /a\n    volumes: [/a]", "c.yaml:2:3: services.web: tmpfs: /a is mounted twice"},
        {"volumes: [{type: tmpfs, target: /a, source: b}]",
         "c.yaml:4:15: services.web.volumes: a tmpfs has no source"},
        {"volumes: [{type: tmpfs, target: /a, bind: {propagation: shared}}]",
         "c.yaml:4:47: services.web.volumes: bind: is not for a mount of type tmpfs"},
        {"volumes: [{type: bind, source: /a, target: /a, tmpfs: {size: 1k}}]",
         "c.yaml:4:59: services.web.volumes: tmpfs: is not for a mount of type bind"},
        {"volumes: ['/a:rshared']", "c.yaml:4:15: services.web.volumes: the place in the cont"},
        {"volumes: ['v:/a:rshared']",
         "c.yaml:4:15: services.web.volumes: propagation 'rshared' is for bind mounts"},
        {"volumes: [{type: bind, source: /a, target: /b, bind: {selinux: z}}]",
         "c.yaml:4:59: services.web.volumes.bind: 'selinux' is not supported yet"},
        {"volumes_from: [a]", "c.yaml:4:5: services.web: 'volumes_from' is not supported yet; na"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void names_are_read(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"dns: 10.0.0.53", "\"dns\": [\"10.0.0.53\"]"},
        {"dns: [10.0.0.53, 10.0.0.54]", "\"dns\": [\"10.0.0.53\", \"10.0.0.54\"]"},
        {"dns_search: corp.example", "\"dns_search\": [\"corp.example\"]"},
        {"dns_search: [a.example, .]", "\"dns_search\": [\"a.example\", \".\"]"},
        {"dns_opt: ['ndots:2', use-vc]", "\"dns_opt\": [\"ndots:2\", \"use-vc\"]"},
        {"extra_hosts: ['a:10.0.0.1', 'b=::1', 'c=[fe80::1]', 'd:2001:db8::1', e=host-gateway]",
         "\"extra_hosts\": [\"a 10.0.0.1\", \"b ::1\", \"c fe80::1\", \"d 2001:db8::1\", "
         "\"e host-gateway\"]"},
        {"extra_hosts: {a.example: 10.0.0.1, b: [10.0.0.2, '::2']}",
         "\"extra_hosts\": [\"a.example 10.0.0.1\", \"b 10.0.0.2\", \"b ::2\"]"},
        {"domainname: corp.example", "\"domainname\": \"corp.example\""},
        {"network_mode: host", "\"networks\": [], "},
        {"network_mode: host", "\"network_host\": true"},
        {"uts: host", "\"uts\": \"host\""},
        {"pid: host", "\"pid\": \"host\""},
        {"pid:", "\"pid\": \"\""},
        {"ipc: host", "\"ipc\": \"host\""},
        {"ipc: shareable", "\"ipc\": \"private\""},
        {"cgroup: private", "\"cgroup\": \"private\""},
        {"userns_mode: host", "\"userns\": \"host\""},
        {"userns_mode: auto", "\"userns\": \"auto\""},
        {"isolation: default", "\"image\": \"nginx\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
    static const struct form faults[] = {
        {"dns: [dns.google]", "c.yaml:4:11: services.web.dns: 'dns.google' must be the IPv4 addr"},
        {"dns: 127.0.0.53", "c.yaml:4:10: services.web.dns: '127.0.0.53' must be the IPv4"},
        {"dns: ['::1']", "c.yaml:4:11: services.web.dns: '::1' must be the IPv4 address"},
        {"dns: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]", "c.yaml:4:38: services.web.dns: more than 3"},
        {"dns_search: ['a b']", "c.yaml:4:18: services.web.dns_search: 'a b' must be a domain"},
        {"dns_search: [\"a\\nb\"]", "c.yaml:4:18: services.web.dns_search: 'a b' must be a dom"},
        {"dns_opt: ['a b']", "c.yaml:4:15: services.web.dns_opt: 'a b' must be an option of re"},
        {"extra_hosts: [a]", "c.yaml:4:19: services.web.extra_hosts: 'a' must be NAME=ADDRESS"},
        {"extra_hosts: ['a:b']", "c.yaml:4:19: services.web.extra_hosts: 'a' and 'b' must be a"},
        {"extra_hosts: {'a b': 1.1.1.1}",
         "c.yaml:4:26: services.web.extra_hosts: 'a b' and '1.1.1.1' must be a name"},
        {"domainname: a..b", "c.yaml:4:17: services.web.domainname: 'a..b' must be a domain"},
        {"network_mode: host\n    ports: [80:80]",
         "c.yaml:2:3: services.web: ports: with network_mode host the program's ports"},
        {"network_mode: host\n    networks: [default]",
         "c.yaml:4:19: services.web: networks and network_mode exclude each other"},
        {"network_mode: host\n    dns_search: a.example",
         "c.yaml:2:3: services.web: dns_search, dns_opt: with network_mode host the machine's"},
        {"domainname: .", "c.yaml:2:3: services.web: domainname: not a domain of up to 63"},
        {"uts: host\n    hostname: a", "c.yaml:2:3: services.web: uts: with the machine's names"},
        {"uts: private", "c.yaml:4:10: services.web.uts: 'private' must be host"},
        {"pid: service:db", "c.yaml:4:10: services.web.pid: 'service:db': tasks do not share"},
        {"ipc: container:db", "c.yaml:4:10: services.web.ipc: 'container:db': tasks do not sha"},
        {"ipc: none", "c.yaml:4:10: services.web.ipc: 'none' is not supported yet; private and"},
        {"cgroup: none", "c.yaml:4:13: services.web.cgroup: 'none' must be host or private"},
        {"userns_mode: x", "c.yaml:4:18: services.web.userns_mode: 'x' must be host, or auto"},
        {"userns_mode: auto\n    privileged: true",
         "c.yaml:2:3: services.web: userns_mode: auto and privileged exclude each other"},
        {"isolation: hyperv", "c.yaml:4:16: services.web.isolation: 'hyperv' is for Windows"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void the_rest_is_read(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"annotations: {b: 1, a: }", "\"annotations\": [{\"key\": \"a\", \"value\": \"\"}, "
                                     "{\"key\": \"b\", \"value\": \"1\"}]"},
        {"annotations: [com.example.a=b=c]",
         "\"annotations\": [{\"key\": \"com.example.a\", \"value\": \"b=c\"}]"},
        {"group_add: [audio, 1000]", "\"group_add\": [\"audio\", \"1000\"]"},
        {"init: true", "\"init\": \"yes\""},
        {"init: false", "\"init\": \"no\""},
        {"stdin_open: true\n    tty: true", "\"stdin_open\": true, \"tty\": true"},
        {"logging: {driver: local, options: {max-size: 1m, max-file: '2'}}",
         "\"logging\": {\"driver\": \"json-file\", \"options\": [{\"key\": \"max-size\", "
         "\"value\": \"1048576\"}, {\"key\": \"max-file\", \"value\": \"2\"}]}"},
        {"logging: {driver: none}", "\"logging\": {\"driver\": \"none\", \"options\": []}"},
        {"platform: linux/arm64", "\"platform\": \"linux/arm64\""},
        {"platform: linux/arm/v7", "\"platform\": \"linux/arm/v7\""},
        {"platform: linux/x86_64", "\"platform\": \"linux/amd64\""},
        {"pull_policy: if_not_present", "\"pull_policy\": \"missing\""},
        {"pull_policy: always", "\"pull_policy\": \"always\""},
        {"pull_policy: never", "\"pull_policy\": \"never\""},
        {"runtime: crun", "\"runtime\": \"crun\""},
        {"attach: false", "\"image\": \"nginx\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
    static const struct form faults[] = {
        {"annotations: ['=a']", "c.yaml:4:19: services.web.annotations: a name is empty"},
        {"annotations: {'a=b': 1}", "c.yaml:4:18: services.web.annotations: 'a=b' must be a key"},
        {"group_add: ['a b']", "c.yaml:4:17: services.web.group_add: 'a b' must be a group's na"},
        {"init: /sbin/init", "c.yaml:4:11: services.web.init: '/sbin/init' must be true or f"},
        {"logging: {driver: syslog}",
         "c.yaml:4:23: services.web.logging.driver: 'syslog' is not here: logs are kept by"},
        {"logging: {options: {tag: x}}",
         "c.yaml:4:25: services.web.logging.options.tag: is not here; max-size and max-file are"},
        {"logging: {options: {max-size: 1}}",
         "c.yaml:4:35: services.web.logging.options.max-size: a log file has at least 4096"},
        {"logging: {driver: none, options: {max-file: 2}}",
         "c.yaml:2:3: services.web: logging: driver none keeps nothing"},
        {"platform: windows/amd64", "c.yaml:4:15: services.web.platform: 'windows/amd64': the no"},
        {"platform: arm64", "c.yaml:4:15: services.web.platform: 'arm64' must be a platform"},
        {"pull_policy: build", "c.yaml:4:18: services.web.pull_policy: images are not built here"},
        {"pull_policy: daily", "c.yaml:4:18: services.web.pull_policy: 'daily': a task runs wha"},
        {"pull_policy: every_12h", "c.yaml:4:18: services.web.pull_policy: 'every_12h': a task"},
        {"pull_policy: x", "c.yaml:4:18: services.web.pull_policy: 'x' must be missing"},
        {"runtime: ../x", "c.yaml:4:14: services.web.runtime: '../x' must be the name of an OCI"},
        {"credential_spec: {file: a}", "c.yaml:4:5: services.web.credential_spec: is for Windows"},
        {"label_file: nowhere", "c.yaml:4:17: services.web.label_file: open "},
        {"post_start: [{command: a}]", "c.yaml:4:5: services.web: 'post_start' is not supported"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

/* --- files beside the Compose file ----------------------------------------------------------- */

static void write_text(const char *folder, const char *name, const char *text)
{
    struct err err;
    cleanup_free char *path = str_printf("%s/%s", folder, name);
    assert_int_equal(file_write_fast(path, text, strlen(text), 0644, &err), 0);
}

/* The JSON of the project of @folder's c.yaml, or the first error. */
static char *load(const char *folder)
{
    cleanup_free char *path = str_printf("%s/c.yaml", folder);
    struct compose_options options = {.file = path, .stack = "app", .lookup = lookup};
    struct compose_project project;
    struct compose_errors errors = {0};
    struct buf json = BUF_INIT;
    if (compose_load(&options, &project, &errors) == 0) {
        record_json(&compose_project_type, &project, -1, &json);
        compose_project_release(&project);
    } else {
        buf_puts(&json, errors.items[0].text);
    }
    compose_errors_release(&errors);
    return buf_take(&json);
}

static void files_beside_it_are_read(void **state)
{
    (void)state;
    char folder[] = "/tmp/wherry-compose-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_text(folder, "a.labels", "a=file\nb=file # said\n");
    write_text(folder, "profile.json", "{ \"defaultAction\" : \"SCMP_ACT_ALLOW\" }\n");
    write_text(folder, "c.yaml",
               "services: {w: {image: i, label_file: [a.labels], labels: {b: own}, "
               "security_opt: ['seccomp:profile.json']}}");
    cleanup_free char *got = load(folder);
    assert_non_null(strstr(got, "\"labels\": [{\"key\": \"a\", \"value\": \"file\"}, "
                                "{\"key\": \"b\", \"value\": \"own\"}]"));
    assert_non_null(strstr(got, "\"seccomp\": \"{\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\"}\""));

    static const struct {
        const char *profile;
        const char *want;
    } faults[] = {
        {"{", "the seccomp profile is no JSON: line 1"},
        {"[]", "a seccomp profile is a JSON object with a defaultAction"},
        {"{\"defaultAction\": 3}", "a seccomp profile is a JSON object with a defaultAction"},
        {"{\"defaultAction\": \"a\", \"defaultAction\": \"b\"}", "is no JSON: line 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        write_text(folder, "profile.json", faults[i].profile);
        cleanup_free char *error = load(folder);
        if (!strstr(error, faults[i].want))
            fail_msg("%s gives %s", faults[i].profile, error);
    }
    struct err err;
    assert_int_equal(file_remove_tree(folder, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(security_is_read),
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(devices_and_memory_file_systems_are_read),
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(the_rest_is_read),
        cmocka_unit_test(files_beside_it_are_read),
    };
    return cmocka_run_group_tests_name("compose_options", tests, NULL, NULL);
}
