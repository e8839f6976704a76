/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may put into a container's options: each field's bounds and form, given by a client
 * that checks nothing itself. */
#include "store/level.h"
#include "store/options.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/apply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))
#define LIST(...)                                                                                  \
    (char *[])                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

struct fault {
    struct spec spec;
    const char *want; /* the message begins with it; NULL: it is fine */
};

static void check_all(const struct fault *faults, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};
        int rv = options_validate(&faults[i].spec, &err);
        if (!faults[i].want && rv != 0)
            fail_msg("case %zu is refused: %s", i, err.msg);
        if (!faults[i].want)
            continue;
        assert_int_equal(rv, ERR_INVALID);
        if (!str_starts(err.msg, faults[i].want))
            fail_msg("case %zu: %s\nnot %s", i, err.msg, faults[i].want);
    }
}

#define OPTIONS(...)                                                                               \
    {                                                                                              \
        .image = S("i"), .options = { __VA_ARGS__ }                                                \
    }
#define TEXTS(field, ...)                                                                          \
    .field = LIST(__VA_ARGS__), .field##_n = sizeof(LIST(__VA_ARGS__)) / sizeof(char *)

static void texts_have_their_form(void **state)
{
    (void)state;
    const struct fault faults[] = {
        {OPTIONS(0), NULL},
        {OPTIONS(TEXTS(cap_add, S("ALL"), S("NET_ADMIN"))), NULL},
        {OPTIONS(TEXTS(cap_add, S("CAP_NET_ADMIN"))), "cap_add: \"CAP_NET_ADMIN\" is not a cap"},
        {OPTIONS(TEXTS(cap_add, NULL)), "cap_add: \"\" is not"},
        {OPTIONS(TEXTS(cap_drop, S("net_raw"))), "cap_drop: \"net_raw\" is not a cap"},
        {OPTIONS(TEXTS(group_add, S("a b"))), "group_add: \"a b\" is not a group"},
        {OPTIONS(TEXTS(dns, S("8.8.8.8\nnameserver 1.1.1.1"))), "dns: "},
        {OPTIONS(TEXTS(dns_search, S("a\noptions debug"))), "dns_search: "},
        {OPTIONS(TEXTS(dns_opt, S("ndots:1\nnameserver"))), "dns_opt: "},
        {OPTIONS(TEXTS(dns, S("1.1.1.1"), S("1.1.1.2"), S("1.1.1.3"), S("1.1.1.4"))),
         "dns: 4 are more than 3"},
        {OPTIONS(TEXTS(extra_hosts, S("a 10.0.0.1"), S("b host-gateway"))), NULL},
        {OPTIONS(TEXTS(extra_hosts, S("a 10.0.0.1\n1.1.1.1 bank.example"))), "extra_hosts: "},
        {OPTIONS(TEXTS(extra_hosts, S("10.0.0.1"))), "extra_hosts: \"10.0.0.1\" is not"},
        {OPTIONS(TEXTS(device_rules, S("c 1:3 rwm"), S("b *:* r"))), NULL},
        {OPTIONS(TEXTS(device_rules, S("c 1:3 rwx"))), "device_cgroup_rules: "},
        {OPTIONS(.domainname = S("a\nb")), "domainname: "},
        {OPTIONS(.cpuset = S("0-")), "cpuset: "},
        {OPTIONS(.runtime = S("/bin/sh")), "runtime: "},
        {OPTIONS(.apparmor = S("a\nb")), "security_opt.apparmor: "},
        {{.platform = S("windows/amd64")}, "platform: "},
        {{.platform = S("linux/arm/v7")}, NULL},
        {OPTIONS(.pid = S("container:x")), "pid: \"container:x\" is not host"},
        {OPTIONS(.ipc = S("none")), "ipc: \"none\" is not private or host"},
        {OPTIONS(.uts = S("x")), "uts: \"x\" is not host"},
        {OPTIONS(.userns = S("x")), "userns_mode: \"x\" is not host or auto"},
        {OPTIONS(.cgroup = S("x")), "cgroup: \"x\" is not private or host"},
        {OPTIONS(.logging = {.driver = S("syslog")}), "logging.driver: \"syslog\" is not json"},
    };
    check_all(faults, ARRAY_SIZE(faults));
}

static void amounts_are_bounded(void **state)
{
    (void)state;
    const struct fault faults[] = {
        {OPTIONS(.shm_bytes = -1), "shm_size is -1"},
        {OPTIONS(.memswap_bytes = -2), "memswap_limit is -2"},
        {{.limits = {.memory_bytes = 1}, .options = {.memswap_bytes = -1}}, NULL},
        {OPTIONS(.memswap_bytes = -1), "memswap_limit: is memory and swap"},
        {OPTIONS(.memswap_bytes = 1), "memswap_limit: is memory and swap"},
        {OPTIONS(.swappiness_set = 101), NULL},
        {OPTIONS(.swappiness_set = 102), "mem_swappiness is 101"},
        {OPTIONS(.reserved_bytes = INT64_MAX), "mem_reservation is"},
        {OPTIONS(.cpu_shares = 1), "cpu_shares is 1"},
        {OPTIONS(.cpu_shares = 262145), "cpu_shares is"},
        {OPTIONS(.oom_score_adj = -1001), "oom_score_adj is -1001"},
        {OPTIONS(.storage_bytes = -1), "storage_opt.size is -1"},
        {OPTIONS(.blkio = {.weight = 9}), "blkio_config.weight is 9"},
        {OPTIONS(.blkio = {.read_bps = &(struct io_spec){S("/d"), 0}, .read_bps_n = 1}),
         "blkio_config.device_read_bps is 0"},
        {OPTIONS(.blkio = {.write_iops = &(struct io_spec){S("d"), 1}, .write_iops_n = 1}),
         "blkio_config.device_write_iops: \"d\" is not an absolute path"},
        {OPTIONS(.blkio = {.weights = &(struct io_spec){S("/d"), 1001}, .weights_n = 1}),
         "blkio_config.weight_device is 1001"},
        {OPTIONS(.ulimits = &(struct ulimit_spec){S("nofile"), 1, -1}, .ulimits_n = 1), NULL},
        {OPTIONS(.ulimits = &(struct ulimit_spec){S("nofile"), -1, 1}, .ulimits_n = 1),
         "ulimits: nofile: -1 is more"},
        {OPTIONS(.ulimits = &(struct ulimit_spec){S("nofile"), -5, -5}, .ulimits_n = 1),
         "ulimits: nofile: -5 is more than the hard limit -5, or one is below -1"},
        {OPTIONS(.ulimits = &(struct ulimit_spec){S("files"), 1, 1}, .ulimits_n = 1),
         "ulimits: \"files\" is not"},
        {OPTIONS(.tmpfs = &(struct tmpfs_spec){.target = S("/")}, .tmpfs_n = 1),
         "tmpfs: / is the container's root"},
        {OPTIONS(.tmpfs = &(struct tmpfs_spec){.target = S("/a"), .mode = 010000}, .tmpfs_n = 1),
         "tmpfs: mode is 4096"},
        {OPTIONS(.tmpfs = &(struct tmpfs_spec){.target = S("/a"),
                                               .options = LIST(S("bind")),
                                               .options_n = 1},
                 .tmpfs_n = 1),
         "tmpfs: \"bind\" is not an option"},
        {OPTIONS(.tmpfs = (struct tmpfs_spec[]){{.target = S("/a")}, {.target = S("/a")}},
                 .tmpfs_n = 2),
         "tmpfs: /a is mounted twice"},
        {OPTIONS(.devices = &(struct device_spec){S("/dev/../x"), NULL, NULL}, .devices_n = 1),
         "devices: \"/dev/../x\" is not an absolute path"},
        {OPTIONS(.devices = &(struct device_spec){S("/dev/x"), S("x"), NULL}, .devices_n = 1),
         "devices: \"x\" is not an absolute path"},
        {OPTIONS(.devices = &(struct device_spec){S("/dev/x"), NULL, S("rr")}, .devices_n = 1),
         "devices: \"rr\" is not of the letters"},
        {OPTIONS(.sysctls = &(struct pair){S("kernel.panic"), S("1")}, .sysctls_n = 1),
         "sysctls: \"kernel.panic\" is not a setting"},
        {OPTIONS(.sysctls = &(struct pair){S("net.a"), S("1\n2")}, .sysctls_n = 1),
         "net.a: \"1\n2\" is not a value"},
        {OPTIONS(.annotations = &(struct pair){S("a\nb"), NULL}, .annotations_n = 1),
         "annotations: "},
        {OPTIONS(.logging = {.options = &(struct pair){S("max-size"), S("1m")}, .options_n = 1}),
         "logging: max-size is 0"},
        {OPTIONS(.logging = {.options = &(struct pair){S("tag"), S("1")}, .options_n = 1}),
         "logging: \"tag\" is no option"},
        {OPTIONS(.seccomp = S("{}")), NULL},
        {OPTIONS(.seccomp = S("/etc/profile.json")), "security_opt.seccomp: not \"unconfined\""},
    };
    check_all(faults, ARRAY_SIZE(faults));
}

static void what_excludes_each_other_is_refused(void **state)
{
    (void)state;
    struct port_spec port = {.published = 80, .target = 80};
    struct attachment network = {.network = S("default")};
    struct mount_spec volume = {.kind = MOUNT_VOLUME, .target = S("/a"), .create_source = true};
    struct mount_spec bind = {
        .kind = MOUNT_BIND, .source = S("/s"), .target = S("/a"), .propagation = S("remount")};
    const struct fault faults[] = {
        {OPTIONS(.privileged = true, .userns = S("auto")), "userns_mode: auto and privileged"},
        {OPTIONS(.pid = S("host"), .userns = S("auto")), "userns_mode: auto and pid: host"},
        {OPTIONS(.privileged = true, .seccomp = S("{}")), "security_opt: a privileged"},
        {OPTIONS(.privileged = true, .seccomp = S("unconfined")), NULL},
        {{.ports = &port, .ports_n = 1, .options = {.network_host = true}}, "ports: with"},
        {{.networks = &network, .networks_n = 1, .options = {.network_host = true}},
         "network_mode: host and networks"},
        {{.hostname = S("a"), .options = {.uts = S("host")}}, "uts: with the machine's names"},
        {{.mounts = &volume, .mounts_n = 1}, "volumes: /a is no bind mount"},
        {{.mounts = &bind, .mounts_n = 1}, "volumes: \"remount\" is not private"},
        {{.mounts = &bind, .mounts_n = 1, .options = {.shm_bytes = -1}}, "shm_size is -1"},
        {OPTIONS(.ipc = S("host"), .sysctls = &(struct pair){S("fs.mqueue.msg_max"), S("1")},
                 .sysctls_n = 1),
         "sysctls: with ipc: host, fs.mqueue.msg_max"},
    };
    check_all(faults, ARRAY_SIZE(faults));
}

static void lists_and_profiles_are_bounded(void **state)
{
    (void)state;
    struct err err = {0};
    size_t n = 65536;
    char **names = mem_alloc(n, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = S("ALL");
    struct spec spec = {.options = {.cap_add = names, .cap_add_n = n}};
    assert_int_equal(options_validate(&spec, &err), ERR_INVALID);
    assert_string_equal(err.msg, "cap_add: 65536 are more than 64");
    free(names);
    char *profile = mem_alloc(OPTIONS_SECCOMP_BYTES_MAX + 2, 1);
    memset(profile, ' ', OPTIONS_SECCOMP_BYTES_MAX + 1);
    profile[0] = '{';
    spec.options = (struct container_options){.seccomp = profile};
    assert_int_equal(options_validate(&spec, &err), ERR_INVALID);
    profile[OPTIONS_SECCOMP_BYTES_MAX] = '\0';
    assert_int_equal(options_validate(&spec, &err), 0);
    free(profile);
}

static void a_deploy_is_checked(void **state)
{
    (void)state;
    struct err err = {0};
    struct spec spec = {.image = S("i"), .options = {.shm_bytes = -1}};
    assert_int_equal(spec_validate(&spec, LEVEL_KNOWN, "service app.web", &err), ERR_INVALID);
    assert_true(str_starts(err.msg, "service app.web: shm_size is -1"));
}

static void forms_have_words(void **state)
{
    (void)state;
    for (int form = 0; form < OPTION_FORMS; form++) {
        assert_true(strlen(option_meant((enum option_form)form)) > 0);
        assert_false(option_ok((enum option_form)form, "a b\nc"));
    }
    assert_true(option_capability_is_default("CHOWN"));
    assert_false(option_capability_is_default("NET_ADMIN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_their_form),
        cmocka_unit_test(amounts_are_bounded),
        cmocka_unit_test(what_excludes_each_other_is_refused),
        cmocka_unit_test(lists_and_profiles_are_bounded),
        cmocka_unit_test(a_deploy_is_checked),
        cmocka_unit_test(forms_have_words),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
