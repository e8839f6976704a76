/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every form that is honoured, every refusal with its position, and hostile input.
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

static void commands_come_as_text_or_list(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"command: run --now", "\"command\": [\"run\", \"--now\"], \"command_set\": true"},
        {"command: sh -c 'a  b' \"c \\\" $$d\" e\\ f",
         "\"command\": [\"sh\", \"-c\", \"a  b\", \"c \\\" $d\", \"e f\"]"},
        {"command: [a b, 'c', 3, true]", "\"command\": [\"a b\", \"c\", \"3\", \"true\"]"},
        {"command: >\n      run\n      --folded", "\"command\": [\"run\", \"--folded\"]"},
        {"command:", "\"command\": [], \"command_set\": false"},
        {"command: ''", "\"command\": [], \"command_set\": true"},
        {"command: []", "\"command\": [], \"command_set\": true"},
        {"command: echo ''", "\"command\": [\"echo\", \"\"]"},
        {"entrypoint: /run", "\"entrypoint\": [\"/run\"], \"entrypoint_set\": true, "
                             "\"command\": [], \"command_set\": true"},
        {"entrypoint: []\n    command: x", "\"entrypoint\": [], \"entrypoint_set\": true, "
                                           "\"command\": [\"x\"], \"command_set\": true"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void environment_and_labels_come_as_map_or_list(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"environment: {B: 2, A: yes, C: '', D: 1.50, E: null, SET: }",
         "\"environment\": [\"A=yes\", \"B=2\", \"C=\", \"D=1.50\", \"SET=value\"]"},
        {"environment: [B=x=y, A=, UNKNOWN, SET, B=last]",
         "\"environment\": [\"A=\", \"B=last\", \"SET=value\"]"},
        {"labels: {b: 1, a.b/c: }", "\"labels\": [{\"key\": \"a.b/c\", \"value\": \"\"}, "
                                    "{\"key\": \"b\", \"value\": \"1\"}]"},
        {"labels: [a=b, c]\n    deploy: {labels: {d: e, a: b}}",
         "\"labels\": [{\"key\": \"a\", \"value\": \"b\"}, {\"key\": \"c\", \"value\": \"\"}, "
         "{\"key\": \"d\", \"value\": \"e\"}]"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void variables_are_replaced(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"user: $SET-${SET}", "\"user\": \"value-value\""},
        {"user: a$$SET$${SET}", "\"user\": \"a$SET${SET}\""},
        {"user: ${NONE:-d}${EMPTY:-d}${SET:-d}", "\"user\": \"ddvalue\""},
        {"user: x${NONE-d}${EMPTY-d}${SET-d}", "\"user\": \"xdvalue\""},
        {"user: x${NONE:+a}${EMPTY:+a}${SET:+a}", "\"user\": \"xa\""},
        {"user: x${NONE+a}${EMPTY+b}${SET+c}", "\"user\": \"xbc\""},
        {"user: ${NONE:-${EMPTY:-$SET}}", "\"user\": \"value\""},
        {"user: ${SET:?must}${EMPTY?must}", "\"user\": \"value\""},
        {"user: ${NONE:-a}b}", "\"user\": \"ab}\""},
        {"user: \"${NONE:-$$}\"", "\"user\": \"$\""},
        {"ports: ['${PORT}:80']", "\"published\": 8080"},
        {"read_only: ${NONE:-true}", "\"read_only\": true"},
        {"user: x$NONE", "\"user\": \"x\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void ports_come_short_and_long(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"ports: [80:81]",
         "{\"protocol\": \"tcp\", \"published\": 80, \"target\": 81, \"mode\": \"ingress\"}"},
        {"ports: ['53:54/udp']",
         "{\"protocol\": \"udp\", \"published\": 53, \"target\": 54, \"mode\": \"ingress\"}"},
        {"ports: ['53:53/udp', 53:53]",
         "\"udp\", \"published\": 53, \"target\": 53, \"mode\": \"ingress\"}, "
         "{\"protocol\": \"tcp\", \"published\": 53"},
        {"ports: ['90-91:80-81']",
         "\"published\": 90, \"target\": 80, \"mode\": \"ingress\"}, {\"protocol\": \"tcp\", "
         "\"published\": 91, \"target\": 81, \"mode\": \"ingress\"}]"},
        {"ports: [{target: 1, published: '2', protocol: udp, mode: ingress, name: n}]",
         "{\"protocol\": \"udp\", \"published\": 2, \"target\": 1, \"mode\": \"ingress\"}"},
        {"ports: [{target: 1, published: 2, mode: host}]",
         "\"published\": 2, \"target\": 1, \"mode\": \"host\"}"},
        {"ports: ['0.0.0.0:2:1']", "\"published\": 2, \"target\": 1, \"mode\": \"ingress\"}"},
        {"ports:", "\"ports\": []"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void volumes_come_short_and_long(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"services: {w: {image: i, volumes: ['d:/x/']}}\nvolumes: {d: }",
         "{\"kind\": \"volume\", \"source\": \"app_d\", \"target\": \"/x\", \"read_only\": false"},
        {"services: {w: {image: i, volumes: ['d:/x:ro,ro']}}\nvolumes: {d: {driver: local}}",
         "\"source\": \"app_d\", \"target\": \"/x\", \"read_only\": true"},
        {"volumes: ['/a:/b:rw']", "{\"kind\": \"bind\", \"source\": \"/a\", \"target\": \"/b\", "
                                  "\"read_only\": false"},
        {"volumes: [/b]", "{\"kind\": \"volume\", \"source\": \"\", \"target\": \"/b\""},
        {"volumes: [{type: bind, source: /a, target: /b, read_only: true}]",
         "{\"kind\": \"bind\", \"source\": \"/a\", \"target\": \"/b\", \"read_only\": true"},
        {"services: {w: {image: i, volumes: ['d:/x:nocopy']}}\nvolumes: {d: {name: big}}",
         "\"source\": \"big\", \"target\": \"/x\""},
        {"services: {w: {image: i, volumes: ['d:/x:nocopy']}}\nvolumes: {d: {external: true}}",
         "\"volumes\": [], \"own_networks\": [], \"own_volumes\": []"},
        {"services: {w: {image: i, volumes: ['d:/x']}}\n"
         "volumes: {d: {driver_opts: {type: nfs, device: ':/d', o: addr=10.0.0.1}}}",
         "\"own_volumes\": [{\"name\": \"app_d\", \"options\": [{\"key\": \"type\""},
        {"volumes: [{type: volume, target: /b, volume: {nocopy: true, subpath: a/b}}]",
         "\"subpath\": \"a/b\", \"no_copy\": true"},
        {"volumes: [{type: volume, target: /b, volume: {nocopy: false}}]",
         "{\"kind\": \"volume\", \"source\": \"\", \"target\": \"/b\""},
        {"services: {w: {image: i}}\nvolumes: {unused: }", "\"volumes\": []"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void networks_come_as_list_or_map(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"user: x", "\"networks\": [{\"network\": \"default\", \"aliases\": [], \"full\": false"},
        {"services: {w: {image: i, networks: [a, default]}}\nnetworks: {a: , b: {driver: bridge}}",
         "\"networks\": [\"a\", \"default\"]"},
        {"services: {w: {image: i, networks: {a: {aliases: [x, y]}}}}\nnetworks: {a: }",
         "[{\"network\": \"a\", \"aliases\": [\"x\", \"y\"], \"full\": false"},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {external: true, name: b.c}}",
         "[{\"network\": \"b.c\", \"aliases\": [], \"full\": true"},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {external: true}}",
         "\"networks\": [], \"volumes\": [], \"own_networks\": []"},
        {"services: {w: {image: i, networks: {a: {ipv4_address: 172.28.0.9}}}}\n"
         "networks: {a: {ipam: {config: [{subnet: 172.28.0.0/16, ip_range: 172.28.5.0/24}]}}}",
         "\"own_networks\": [{\"name\": \"a\", \"full\": false, \"prefix\": \"172.28.0.0/16\", "
         "\"ipv6\": false, \"prefix6\": \"\", \"ip_range\": \"172.28.5.0/24\", \"internal\": "
         "false"},
        {"services: {w: {image: i, networks: {a: {ipv6_address: 'FD00:28::0:9'}}}}\n"
         "networks: {a: {enable_ipv6: true, ipam: {config: [{subnet: 'fd00:28::/64'}]}}}",
         "\"address6\": \"fd00:28::9\""},
        {"services: {w: {image: i, networks: [a]}}\n"
         "networks: {a: {enable_ipv6: true, ipam: {config: [{subnet: 'fd00:28::/64'}]}}}",
         "\"prefix\": \"\", \"ipv6\": true, \"prefix6\": \"fd00:28::/64\""},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {internal: true, labels: [x=y]}}",
         "\"internal\": true, \"attachable\": false, \"lan\": {\"on\": false, \"parent\": \"\", "
         "\"gateway\": \"\"}, \"labels\": [{\"key\": \"x\", \"value\": \"y\"}]"},
        {"network_mode: none", "\"networks\": [], \"mounts\""},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {driver: macvlan, driver_opts: "
         "{parent: eth1}, ipam: {config: [{subnet: 192.168.1.0/24, gateway: 192.168.1.1}]}}}",
         "\"lan\": {\"on\": true, \"parent\": \"eth1\", \"gateway\": \"192.168.1.1\"}"},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {driver: macvlan, "
         "ipam: {config: [{subnet: 192.168.1.0/24}]}}}",
         "\"networks\": [{\"network\": \"a\", \"aliases\": [], \"full\": false, "
         "\"address\": \"\", \"address6\": \"\"}, {\"network\": \"default\""},
        {"network_mode: bridge", "\"networks\": [{\"network\": \"default\""},
        {"services: {a: {image: i}, w: {image: i, network_mode: 'service:a'}}",
         "\"network_of\": \"a\""},
        {"services: {a: {image: i, container_name: c}, w: {image: i, network_mode: 'container:c'}}",
         "\"network_of\": \"a\""},
        {"container_name: other", "\"aliases\": [\"other\"]"},
        {"container_name: web", "\"aliases\": []"},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void configs_and_secrets_are_files(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"services: {w: {image: i, configs: [a]}}\nconfigs: {a: {content: 'v=$SET'}}",
         "\"configs\": [{\"source\": \"app_a\", \"target\": \"/a\", \"uid\": \"\""},
        {"services: {w: {image: i, configs: [a]}}\nconfigs: {a: {content: 'v=$SET'}}",
         "\"contents\": [{\"id\": 0, \"kind\": \"config\", \"base\": \"app_a\""},
        {"services: {w: {image: i, secrets: [{source: a, target: b, uid: '7', mode: 0400}]}}\n"
         "secrets: {a: {environment: SET}}",
         "\"secrets\": [{\"source\": \"app_a\", \"target\": \"/run/secrets/b\", \"uid\": "
         "\"7\", \"gid\": \"\", \"mode\": 256}]"},
        {"services: {w: {image: i, secrets: [a]}}\nsecrets: {a: {external: true, name: x.y}}",
         "\"secrets\": [{\"source\": \"x.y\", \"target\": \"/run/secrets/a\""},
        {"services: {w: {image: i, secrets: [a]}}\nsecrets: {a: {external: true}}",
         "\"contents\": []"},
        {"x-wherry: {on-change: signal SIGHUP}", "\"on_change\": \"HUP\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void restarts_health_and_dependencies(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"user: x", "\"condition\": \"any\", \"delay_ms\": 0, \"max_attempts\": 0"},
        {"restart: no", "\"condition\": \"none\""},
        {"restart: unless-stopped", "\"condition\": \"any\""},
        {"restart: on-failure:3",
         "\"condition\": \"on-failure\", \"delay_ms\": 0, \"max_attempts\": 3"},
        {"restart: always\n    deploy: {restart_policy: {condition: none, delay: 1m}}",
         "\"condition\": \"none\", \"delay_ms\": 60000"},
        {"healthcheck: {test: 'a b', interval: 1h2m3s, timeout: 1.5s, retries: 4}",
         "\"test\": [\"/bin/sh\", \"-c\", \"a b\"], \"interval_ms\": 3723000, "
         "\"timeout_ms\": 1500, \"retries\": 4"},
        {"healthcheck: {test: [CMD, a, b]}", "\"test\": [\"a\", \"b\"]"},
        {"healthcheck: {test: [CMD-SHELL, a && b]}", "[\"/bin/sh\", \"-c\", \"a && b\"]"},
        {"healthcheck: {test: [NONE]}", "\"test\": []"},
        {"healthcheck: {disable: true, interval: 3s}", "\"test\": [], \"interval_ms\": 0"},
        {"services: {a: {image: i, depends_on: [b]}, b: {image: i}}",
         "[{\"service\": \"b\", \"condition\": \"service_started\"}]"},
        {"services: {a: {image: i, depends_on: {b: {condition: service_healthy}}}, b: {image: i}}",
         "[{\"service\": \"b\", \"condition\": \"service_healthy\"}]"},
        {"services:\n  a:\n    image: i\n    depends_on:\n      b:\n"
         "        condition: service_completed_successfully\n  b: {image: i}",
         "\"condition\": \"on-failure\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void deploy_says_how_many_and_where(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"user: x", "\"mode\": \"replicated\", \"replicas\": 1"},
        {"scale: 4", "\"replicas\": 4"},
        {"scale: 4\n    deploy: {replicas: 4}", "\"replicas\": 4"},
        {"deploy: {replicas: 0}", "\"replicas\": 0"},
        {"deploy: {mode: global}", "\"mode\": \"global\", \"replicas\": 0"},
        {"deploy: {mode: replicated-job, replicas: 2}",
         "\"mode\": \"replicated-job\", \"replicas\": 2"},
        {"deploy: {placement: {constraints: [node.labels.a==b, 'node.id!= 3'], "
         "max_replicas_per_node: 2}}",
         "[{\"key\": \"node.labels.a\", \"negated\": false, \"value\": \"b\"}, {\"key\": "
         "\"node.id\", \"negated\": true, \"value\": \"3\"}], \"max_per_node\": 2"},
        {"deploy: {resources: {limits: {cpus: .5, memory: 1.5g, pids: 9}, "
         "reservations: {cpus: '0.125', memory: 1000}}}",
         "\"reservations\": {\"cpu_milli\": 125, \"memory_bytes\": 1000, \"pids\": 0}, "
         "\"limits\": {\"cpu_milli\": 500, \"memory_bytes\": 1610612736, \"pids\": 9}"},
        {"mem_limit: 10Mb\n    mem_reservation: 5 MiB\n    cpus: 2\n    pids_limit: 7",
         "\"reservations\": {\"cpu_milli\": 0, \"memory_bytes\": 5242880, \"pids\": 0}, "
         "\"limits\": {\"cpu_milli\": 2000, \"memory_bytes\": 10485760, \"pids\": 7}"},
        {"deploy: {update_config: {parallelism: 2, delay: 500us, order: stop-first}}",
         "\"update\": {\"parallelism\": 2, \"delay_ms\": 1"},
        {"deploy: {update_config: {parallelism: 0}}", "\"parallelism\": 10000"},
        {"deploy: {update_config: {failure_action: rollback, monitor: 9s, max_failure_ratio: 0.25, "
         "order: start-first}}",
         "\"failure\": \"rollback\", \"monitor_ms\": 9000, \"max_failure_permille\": 250, "
         "\"order\": \"start-first\""},
        {"deploy: {rollback_config: {failure_action: continue, parallelism: 3}}",
         "\"rollback\": {\"parallelism\": 3, \"delay_ms\": 0, \"failure\": \"continue\""},
        {"deploy: {endpoint_mode: dnsrr}", "\"endpoint_mode\": \"dnsrr\""},
        {"deploy: {placement: {constraints: [node.platform.arch == arm64]}}",
         "\"key\": \"node.platform.arch\", \"negated\": false, \"value\": \"arm64\""},
        {"deploy: {placement: {constraints: [node.role == manager]}}", "\"constraints\": []"},
        {"x-wherry: {failover: 10m, drain: 0s, rollout-deadline: 1m}",
         "\"failover_ms\": 600000, \"drain_ms\": -1, \"rollout_deadline_ms\": 60000"},
        {"x-wherry: {failover: never}", "\"failover_ms\": -1"},
        {"x-wherry: {rebalance: false}", "\"no_rebalance\": true"},
        {"healthcheck: {test: x, start_interval: 3s}", "\"start_interval_ms\": 3000"},
        {"services: {w: {image: i}, x: {image: j, profiles: [debug], ports: [\"80:80\"]}}",
         "\"services\": [{\"name\": \"w\""},
        {"services: {a: {profiles: [debug], bad: 1}, w: {image: i, profiles: []}}",
         "\"services\": [{\"name\": \"w\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

static void anchors_and_merge_keys_are_carried_out(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"x-a: &a {image: i, user: u}\nservices: {w: {<<: *a, user: v}}",
         "\"image\": \"i\", \"entrypoint\": []"},
        {"x-a: &a {image: i, user: u}\nservices: {w: {<<: *a, user: v}}", "\"user\": \"v\""},
        {"x-a: &a {image: i, user: a}\nx-b: &b {user: b, hostname: b}\n"
         "services: {w: {<<: [*a, *b]}}",
         "\"user\": \"a\", \"working_dir\": \"\", \"hostname\": \"b\""},
        {"services: {w: {image: &i i, user: *i}}", "\"user\": \"i\""},
        {"services: {w: {image: !!str i, user: !!str null}}", "\"user\": \"null\""},
        {"x-y: 1\nservices: {w: {image: i, x-z: [a], deploy: {x-q: }}}\nx-wherry: {}",
         "\"image\": \"i\""},
    };
    check_forms(forms, ARRAY_SIZE(forms));
}

/* --- faults -------------------------------------------------------------------------------- */

static void keys_are_checked(void **state)
{
    (void)state;
    static const struct form faults[] = {
        {"imge: x", "c.yaml:4:5: services.web: unknown key 'imge' (did you mean 'image'?)"},
        {"zzzzzz: x", "c.yaml:4:5: services.web: unknown key 'zzzzzz'"},
        {"links: [a]", "c.yaml:4:5: services.web: 'links' is not supported yet; services of a"},
        {"attach: true", "c.yaml:4:5: services.web: 'attach' is not supported yet"},
        {"gpus: all", "c.yaml:4:5: services.web.gpus: drivers of GPUs are not set up"},
        {"build: .", "c.yaml:4:5: services.web.build: images are not built here; build it"},
        {"deploy: {replcas: 2}",
         "c.yaml:4:14: services.web.deploy: unknown key 'replcas' (did you mean 'replicas'?)"},
        {"x-wherry: {a: 1}", "c.yaml:4:16: services.web.x-wherry: unknown key 'a'"},
        {"ports: [{target: 1, published: 2, publish: 3}]",
         "c.yaml:4:39: services.web.ports: unknown key 'publish'"},
        {"services: {w: {image: i}}\nsercices: 1", "c.yaml:2:1: unknown key 'sercices' (did you"},
        {"services: {w: {image: i}}\nsecrets: {a: }",
         "c.yaml:2:11: secrets.a: needs one of file:, environment: and external: true"},
        {"services: {w: {image: i}}\nsecrets: {a: {content: x}}",
         "c.yaml:2:24: secrets.a.content: a secret does not stand in a file that is shared"},
        {"services: {w: {image: i}}\nconfigs: {a: {external: true, content: x}}",
         "c.yaml:2:11: configs.a: is external: its content does not come from here"},
        {"services: {w: {image: i, configs: [a]}}",
         "c.yaml:1:36: services.w.configs: no config 'a'"},
        {"services: {w: {image: i, configs: [a]}}\nconfigs: {a: {file: ./none}}",
         "c.yaml:2:21: configs.a: there is no file './none'"},
        {"services: {w: {image: i, secrets: [a]}}\nsecrets: {a: {environment: NO_SUCH}}",
         "c.yaml:2:28: secrets.a: the environment has no variable 'NO_SUCH'"},
        {"services: {w: {image: i}}\nvolumes: {a: {driver_opts: {type: nfs}}}",
         "c.yaml:2:28: volumes.a.driver_opts: driver_opts: type nfs needs a device"},
        {"services: {w: {image: i}}\nvolumes: {a: {driver_opts: {color: red}}}",
         "c.yaml:2:28: volumes.a.driver_opts: driver_opts: 'color' is none of"},
        {"services: {w: {image: i}}\nnetworks: {a: {ipam: {config: [{ip_range: 10.0.0.0/24}]}}}",
         "c.yaml:2:12: networks.a: ip_range needs a subnet"},
        {"services: {w: {image: i}}\nnetworks: {a: {driver: ipvlan}}",
         "c.yaml:2:24: networks.a.driver: driver 'ipvlan' is not supported"},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {driver: macvlan}}",
         "c.yaml:2:12: networks.a: a macvlan needs the subnet of the machines' link, under ipam"},
        {"services: {w: {image: i, networks: [a]}}\nnetworks: {a: {driver: macvlan, driver_opts: "
         "{macvlan_mode: vepa}, ipam: {config: [{subnet: 192.168.1.0/24}]}}}",
         "c.yaml:2:61: networks.a.driver_opts: macvlan_mode 'vepa' is not supported; bridge is"},
        {"services: {w: {user: a}}", "c.yaml:1:12: services.w: has no image"},
        {"services: {W: {image: i}}", "c.yaml:1:12: services: 'W' is no valid name"},
        {"services: {}", "c.yaml:1:11: services: must name 1 to"},
        {"services: [a]", "c.yaml:1:11: services: must be a mapping of services, but is a list"},
        {"networks: {a: }\nservices:", "c.yaml:2:1: services: must be a mapping of services, but "
                                       "is nothing"},
        {"image: i", "c.yaml:4:5: key 'image' is there twice, first in line 3"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void values_are_checked(void **state)
{
    (void)state;
    static const struct form faults[] = {
        {"services: {w: {image: }}", "c.yaml:1:16: services.w.image: must be text, but is nothing"},
        {"services: {w: {image: 'a b'}}", "c.yaml:1:23: services.w.image: 'a b' is no image name"},
        {"command: 'a \"b'", "c.yaml:4:14: services.web.command: no closing \""},
        {"command: {a: b}",
         "c.yaml:4:14: services.web.command: must be text or a list, but is a m"},
        {"working_dir: srv", "c.yaml:4:18: services.web.working_dir: 'srv' must be an absolute"},
        {"read_only: maybe", "c.yaml:4:16: services.web.read_only: 'maybe' must be true or false"},
        {"stop_signal: int", "c.yaml:4:18: services.web.stop_signal: 'int' is no signal"},
        {"stop_grace_period: 10",
         "c.yaml:4:24: services.web.stop_grace_period: '10' must be a dur"},
        {"hostname: a_b", "c.yaml:4:15: services.web.hostname: 'a_b' is no host name"},
        {"environment: ['=x']", "c.yaml:4:19: services.web.environment: '' is no name"},
        {"environment: {A: [b]}", "c.yaml:4:22: services.web.environment.A: must be text, but is"},
        {"labels: [a=b, a=c]", "c.yaml:4:19: services.web.labels: label 'a' is given twice"},
        {"env_file: nowhere.env", "c.yaml:4:15: services.web.env_file: open "},
        {"env_file: /dev/zero", "c.yaml:4:15: services.web.env_file: '/dev/zero' is no regular"},
        {"user: $", "c.yaml:4:11: services.web.user: '$' starts no variable here"},
        {"user: ${A", "c.yaml:4:11: services.web.user: '${A' has no closing '}'"},
        {"user: ${A!b}", "c.yaml:4:11: services.web.user: '${A' goes on with '!'"},
        {"user: ${NONE:?say $SET}", "c.yaml:4:11: services.web.user: variable 'NONE' must be set: "
                                    "say value"},
        {"restart: sometimes", "c.yaml:4:14: services.web.restart: 'sometimes' must be \"no\""},
        {"restart: on-failure:0", "c.yaml:4:14: services.web.restart: 'on-failure:0' must be"},
        {"healthcheck: {test: [a]}", "c.yaml:4:25: services.web.healthcheck.test: a list must st"},
        {"healthcheck: {interval: 1s}", "c.yaml:4:18: services.web.healthcheck: a check from the"},
        {"network_mode: macvlan",
         "c.yaml:4:19: services.web.network_mode: network_mode 'macvlan': not host, none, serv"},
        {"network_mode: 'service:'",
         "c.yaml:4:19: services.web.network_mode: network_mode 'service:': not host, none, s"},
        {"network_mode: service:web",
         "c.yaml:4:19: services.web: network_mode: service 'web' is this one"},
        {"network_mode: service:x",
         "c.yaml:4:19: services.web: network_mode: service 'x' is not in this file"},
        {"network_mode: container:x",
         "c.yaml:4:19: services.web: network_mode: no service of this file has 'container_name: x"},
        {"network_mode: service:vpn\n    ports: [80:80]",
         "c.yaml:2:3: services.web: network_mode: service:vpn and ports exclude each other: give "
         "it to vpn"},
        {"network_mode: service:vpn\n    networks: [default]",
         "c.yaml:4:19: services.web: networks and network_mode exclude each other"},
        {"expose: [x]", "c.yaml:4:14: services.web.expose: 'x' must be a port"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void ports_and_mounts_are_checked(void **state)
{
    (void)state;
    static const struct form faults[] = {
        {"ports: [80]", "c.yaml:4:13: services.web.ports: port 80 is not published under a number"},
        {"ports: ['0:80']", "c.yaml:4:13: services.web.ports: '0' must be a port from 1"},
        {"ports: ['1:65536']", "c.yaml:4:13: services.web.ports: '65536' must be a port from 1"},
        {"ports: ['2-1:80']", "c.yaml:4:13: services.web.ports: '2-1' must be a port"},
        {"ports: ['1-3:80-81']", "c.yaml:4:13: services.web.ports: the two ranges differ"},
        {"ports: ['127.0.0.1:80:80']", "c.yaml:4:13: services.web.ports: a port on one address"},
        {"ports: ['[::1]:80:80']", "c.yaml:4:13: services.web.ports: a port on one address"},
        {"ports: ['1:1/sctp']", "c.yaml:4:13: services.web.ports: protocol 'sctp' must be tcp"},
        {"ports: [{published: 1}]", "c.yaml:4:13: services.web.ports: a port needs a target:"},
        {"ports: [{target: 1, published: 1, mode: lan}]",
         "c.yaml:4:45: services.web.ports.mode: 'lan' must be"},
        {"ports: ['1-2000:1-2000']", "c.yaml:4:13: services.web.ports: more than 1024 ports"},
        {"ports: [1:1, 1:2]", "c.yaml:4:18: services.web.ports: port 1/tcp is published by "
                              "service 'web' already"},
        {"services: {a: {image: i, ports: [1:1]}, b: {image: i, ports: [1:1]}}",
         "c.yaml:1:63: services.b.ports: port 1/tcp is published by service 'a' already"},
        {"volumes: ['./a:/b']", "c.yaml:4:15: services.web.volumes: './a' is a path of this mach"},
        {"volumes: ['~/a:/b']", "c.yaml:4:15: services.web.volumes: '~/a' is a path of this mach"},
        {"volumes: ['d:/b']", "c.yaml:4:15: services.web.volumes: no volume 'd'; declare it"},
        {"volumes: ['/d:/']", "c.yaml:4:15: services.web.volumes: nothing can be mounted over"},
        {"volumes: ['/d:b']", "c.yaml:4:15: services.web.volumes: the place in the container"},
        {"volumes: ['/d:/b:z']", "c.yaml:4:15: services.web.volumes: mount option 'z' is not"},
        {"volumes: ['/d:/b', '/e:/b/']", "c.yaml:4:24: services.web.volumes: '/b' is mounted tw"},
        {"volumes: [{type: npipe, target: /b}]",
         "c.yaml:4:22: services.web.volumes.type: 'npipe' is not supported yet"},
        {"volumes: [d]", "c.yaml:4:15: services.web.volumes: 'd' names no place"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void deploy_and_references_are_checked(void **state)
{
    (void)state;
    static const struct form faults[] = {
        {"networks: [a]", "c.yaml:4:16: services.web.networks: no network 'a'; declare it"},
        {"networks: [default, default]", "c.yaml:4:25: services.web.networks: network 'default' i"},
        {"depends_on: [a]", "c.yaml:4:18: services.web.depends_on: no service 'a' in this file"},
        {"depends_on: [web]", "c.yaml:4:18: services.web.depends_on: services wait for each other "
                              "in a circle: web -> web"},
        {"services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}",
         "c.yaml:1:71: services.b.depends_on: services wait for each other in a circle: "
         "a -> b -> a"},
        {"services:\n  a:\n    image: i\n    depends_on: {b: {condition: "
         "service_completed_successfully}}\n  b: {image: i, restart: always}",
         "c.yaml:4:18: services.a.depends_on: service 'b' never completes, for it is always"},
        {"scale: 2\n    deploy: {replicas: 3}", "c.yaml:4:12: services.web: scale and deploy.rep"},
        {"scale: 2\n    deploy: {mode: global}", "c.yaml:4:12: services.web: a global service ru"},
        {"deploy: {replicas: -1}", "c.yaml:4:24: services.web.deploy.replicas: '-1' must be a who"},
        {"deploy: {mode: global-job, replicas: 2}",
         "c.yaml:4:42: services.web: a global service ru"},
        {"deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: "
         "gpu}}]}}}",
         "c.yaml:4:61: services.web.deploy.resources.reservations.generic_resources: needs a disc"},
        {"deploy: {placement: {preferences: [{spread: node.hostname}]}}",
         "c.yaml:4:49: services.web.deploy.placement.preferences.spread: 'node.hostname' is no"},
        {"deploy: {mode: cron}", "c.yaml:4:20: services.web.deploy.mode: 'cron' must be"},
        {"x-wherry: {schedule: 0 3 * * *}", "c.yaml:4:26: services.web: is for jobs"},
        {"x-wherry: {schedule: 0 25 * * *}\n    deploy: {mode: replicated-job}",
         "c.yaml:4:26: services.web.x-wherry.schedule: hour '25': is out of range"},
        {"x-wherry: {time-zone: ../x}\n    deploy: {mode: replicated-job}",
         "c.yaml:4:27: services.web.x-wherry.time-zone: '../x' is not the name"},
        {"x-wherry: {concurrency: allow}\n    deploy: {mode: global-job}",
         "c.yaml:4:29: services.web: means something with a schedule only"},
        {"deploy: {update_config: {order: first}}",
         "c.yaml:4:37: services.web.deploy.update_config.order: 'first' must be"},
        {"deploy: {update_config: {max_failure_ratio: 1.5}}",
         "c.yaml:4:49: services.web.deploy.update_config.max_failure_ratio: must be a ratio"},
        {"deploy: {rollback_config: {failure_action: rollback}}",
         "c.yaml:4:48: services.web.deploy.rollback_config.failure_action: 'rollback' must be"},
        {"deploy: {endpoint_mode: both}",
         "c.yaml:4:29: services.web.deploy.endpoint_mode: 'both' must be"},
        {"profiles: [debug]", "c.yaml:2:3: services: no service is in an active profile"},
        {"profiles: ['-']", "c.yaml:4:16: services.web.profiles: '-' is no name of a profile"},
        {"depends_on: [x]\n  x: {image: i, profiles: [p]}",
         "c.yaml:4:18: services.web.depends_on: service 'x' is in no active profile"},
        {"x-wherry: {rollout-deadline: 1ms}",
         "c.yaml:4:34: services.web.x-wherry.rollout-deadline: must be at least 1s"},
        {"deploy: {placement: {constraints: [node.role==worker]}}",
         "c.yaml:4:40: services.web.deploy.placement.constraints: every member of Wherry is"},
        {"deploy: {placement: {constraints: [a]}}",
         "c.yaml:4:40: services.web.deploy.placement.constraints: 'a' must be such as"},
        {"deploy: {resources: {limits: {memory: 5x}}}",
         "c.yaml:4:43: services.web.deploy.resources.limits.memory: '5x' must be a size"},
        {"cpus: 0.0001", "c.yaml:4:11: services.web.cpus: '0.0001' must be a number of CPUs"},
        {"mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}",
         "c.yaml:4:16: services.web: mem_limit and deploy.resources differ"},
        {"mem_limit: 1g\n    mem_reservation: 2g", "c.yaml:2:3: services.web: reserves more mem"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void yaml_is_checked(void **state)
{
    (void)state;
    static const struct form faults[] = {
        {"user: \"x", "c.yaml:4:12: YAML: double-quoted scalar without closing quote"},
        {"services:\n\ta: b", "c.yaml:2:1: YAML: tab character may not be used"},
        {"services: {a: *b}", "c.yaml:1:16: no anchor '&b' before this alias"},
        {"services: &a {b: *a}", "c.yaml:1:19: alias '*a' lies inside its own anchor"},
        {"services: {a: 1}\n---\nb: 1", "c.yaml:2:1: a second document starts here"},
        {"services: {[a]: 1}", "c.yaml:1:12: a key must be plain text"},
        {"services: {a: {<<: 1}}", "c.yaml:1:20: '<<' takes a mapping"},
        {"services: !reset {}", "c.yaml:1:18: tag '!reset' is not supported yet"},
        {"services: \"\\0\"", "c.yaml:1:11: a text with a 0 byte"},
        {"# services:", "c.yaml: the file is empty"},
        {"services: \xff", "c.yaml:1:11: byte 0xff is no UTF-8"},
        {"services: \x01", "c.yaml:1:11: control character 0x01"},
    };
    check_faults(faults, ARRAY_SIZE(faults));
}

static void errors_come_together_sorted_and_capped(void **state)
{
    (void)state;
    cleanup_buf struct buf text = BUF_INIT;
    struct compose_project project;
    struct compose_errors errors = {0};
    buf_puts(&text, "volumes: {a: {\"\\e[31m\": \"\\u009b\"}}\nservices:\n  w:\n    image: i\n");
    for (int i = 0; i < 30; i++)
        buf_printf(&text, "    zz%d: 1\n", i);
    assert_int_equal(parse(text.data, text.len, &project, &errors), ERR_INVALID);
    assert_int_equal(errors.n, COMPOSE_ERRORS_MAX);
    assert_int_equal(errors.more, 11);
    for (size_t i = 1; i < errors.n; i++)
        assert_true(errors.items[i - 1].line < errors.items[i].line);
    for (size_t i = 0; i < errors.n; i++)
        assert_null(strchr(errors.items[i].text, 0x1b));
    compose_errors_release(&errors);
}

static void warnings_do_not_refuse(void **state)
{
    (void)state;
    static const char text[] = "version: '3'\nservices: {w: {image: i, user: x$NONE$NONE, "
                               "command: a && b}}\n";
    struct compose_project project;
    struct compose_errors errors = {0};
    assert_int_equal(parse(text, strlen(text), &project, &errors), 0);
    assert_int_equal(errors.warnings_n, 3);
    assert_true(str_starts(errors.warnings[0].text, "c.yaml:1:10: version: is obsolete"));
    assert_true(
        str_starts(errors.warnings[1].text, "c.yaml:2:32: services.w.user: variable 'NONE' is no"));
    assert_true(
        str_starts(errors.warnings[2].text, "c.yaml:2:54: services.w.command: no shell reads"));
    compose_project_release(&project);
    compose_errors_release(&errors);
}

/* --- files --------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    struct err err;
    assert_int_equal(file_write_fast(path, text, strlen(text), 0644, &err), 0);
}

static void surroundings_of_the_file_count(void **state)
{
    (void)state;
    char folder[] = "/tmp/wherry-compose-XXXXXX";
    char *before = realpath(".", NULL);
    struct compose_project project;
    struct compose_errors errors = {0};
    struct err err;
    assert_non_null(mkdtemp(folder));
    cleanup_free char *inner = str_printf("%s/My.App_1", folder);
    assert_int_equal(file_mkdirs(inner, 0755, &err), 0);
    assert_int_equal(chdir(inner), 0);

    assert_int_equal(compose_load(&(struct compose_options){0}, &project, &errors), ERR_NOTFOUND);
    assert_true(str_starts(errors.items[0].text, "compose.yaml: there is none here"));
    compose_errors_release(&errors);

    write_text(".env",
               "# names\nTAG=1.2\nQUOTED=\"a\\\"b # c\" # d\nexport X='$TAG'\nY=${TAG}x # z\n"
               "MULTI=\"1\n2\"\n");
    write_text("service.env", "A=$TAG\nB=one two  \n");
    write_text("docker-compose.yml", "services: {w: {image: 'i:${TAG}', env_file: service.env, "
                                     "environment: [QUOTED, X, Y, MULTI]}}\n");
    assert_int_equal(compose_load(&(struct compose_options){0}, &project, &errors), 0);
    assert_string_equal(project.name, "myapp_1");
    const struct spec *spec = &project.services[0].spec;
    static const char *const want[] = {"A=1.2",           "B=one two", "MULTI=1\n2",
                                       "QUOTED=a\"b # c", "X=$TAG",    "Y=1.2x"};
    assert_string_equal(spec->image, "i:1.2");
    assert_int_equal(spec->environment_n, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(spec->environment[i], want[i]);
    compose_project_release(&project);

    write_text(".env", "A=1\nB C\n");
    assert_int_equal(compose_load(&(struct compose_options){0}, &project, &errors), ERR_INVALID);
    assert_non_null(strstr(errors.items[0].text, "/.env:2:1: 'B' must be followed by '='"));
    compose_errors_release(&errors);

    assert_int_equal(chdir(before), 0);
    free(before);
    assert_int_equal(file_remove_tree(folder, &err), 0);
}

/* --- hostile input ------------------------------------------------------------------------- */

static void growth_is_bounded(void **state)
{
    (void)state;
    cleanup_buf struct buf bomb = BUF_INIT;
    cleanup_buf struct buf deep = BUF_INIT;
    struct compose_project project;
    struct compose_errors errors = {0};
    buf_puts(&bomb, "a0: &a0 [1, 1]\n");
    for (int i = 1; i < 64; i++)
        buf_printf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
    assert_int_equal(parse(bomb.data, bomb.len, &project, &errors), ERR_INVALID);
    assert_non_null(strstr(errors.items[0].text, "aliases make this more than"));
    compose_errors_release(&errors);

    for (int i = 0; i < 100000; i++)
        buf_putc(&deep, '[');
    assert_int_equal(parse(deep.data, deep.len, &project, &errors), ERR_INVALID);
    compose_errors_release(&errors);

    buf_reset(&bomb);
    buf_puts(&bomb, "services: {w: {image: i, command: &c [");
    for (int i = 0; i < 4000; i++)
        buf_puts(&bomb, "'${NONE:-0123456789012345678901234567890123456789}',");
    buf_puts(&bomb, "]}");
    for (int i = 0; i < 40; i++)
        buf_printf(&bomb, ", w%d: {image: i, command: *c}", i);
    buf_puts(&bomb, "}\n");
    assert_int_equal(parse(bomb.data, bomb.len, &project, &errors), 0);
    compose_project_release(&project);
    compose_errors_release(&errors);
}

/* The next number of a fixed row (Numerical Recipes' generator). */
static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void damaged_files_never_crash(void **state)
{
    (void)state;
    static const char special[] = "{}[]:,-#&*!|>'\"%@`$\n\t \\~<?";
    cleanup_buf struct buf whole = BUF_INIT;
    struct err err;
    uint32_t seed = 7;
    assert_int_equal(
        file_read("tests/unit/cli/compose_files/everything.yaml", 1 << 20, &whole, &err), 0);
    for (int round = 0; round < 1500; round++) {
        cleanup_free char *text = mem_copy(whole.data, whole.len);
        size_t len = round % 3 == 0 ? next(&seed) % whole.len : whole.len;
        for (uint32_t i = 0, n = 1 + next(&seed) % 8; i < n && len > 0; i++)
            text[next(&seed) % len] =
                round % 2 ? special[next(&seed) % (sizeof(special) - 1)] : (char)next(&seed);
        struct compose_project project;
        struct compose_errors errors = {0};
        if (parse(text, len, &project, &errors) == 0)
            compose_project_release(&project);
        else
            assert_true(errors.n > 0);
        compose_errors_release(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_come_as_text_or_list),
        cmocka_unit_test(environment_and_labels_come_as_map_or_list),
        cmocka_unit_test(variables_are_replaced),
        cmocka_unit_test(ports_come_short_and_long),
        cmocka_unit_test(volumes_come_short_and_long),
        cmocka_unit_test(networks_come_as_list_or_map),
        cmocka_unit_test(configs_and_secrets_are_files),
        cmocka_unit_test(restarts_health_and_dependencies),
        cmocka_unit_test(deploy_says_how_many_and_where),
        cmocka_unit_test(anchors_and_merge_keys_are_carried_out),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(ports_and_mounts_are_checked),
        cmocka_unit_test(deploy_and_references_are_checked),
        cmocka_unit_test(yaml_is_checked),
        cmocka_unit_test(errors_come_together_sorted_and_capped),
        cmocka_unit_test(warnings_do_not_refuse),
        cmocka_unit_test(surroundings_of_the_file_count),
        cmocka_unit_test(growth_is_bounded),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}
