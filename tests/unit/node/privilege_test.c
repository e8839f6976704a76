/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployer may not ask of a machine, and what he may. */
#include "node/privilege.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static void what_leads_out_of_a_container_is_denied(void **state)
{
    (void)state;
    char *admin[] = {S("CHOWN"), S("NET_ADMIN")}, *all[] = {S("ALL")}, *rule[] = {S("c 1:3 r")};
    struct device_spec device = {.source = S("/dev/fuse")};
    struct ulimit_spec nice = {.name = S("nice"), .soft = 1, .hard = 1};
    struct pair annotation = {.key = S("a")};
    const struct {
        struct container_options options;
        const char *want;
    } cases[] = {
        {{.privileged = true}, "privileged: true"},
        {{.cap_add = admin, .cap_add_n = 2}, "cap_add:"},
        {{.cap_add = all, .cap_add_n = 1}, "cap_add:"},
        {{.devices = &device, .devices_n = 1}, "devices:"},
        {{.device_rules = rule, .device_rules_n = 1}, "device_cgroup_rules:"},
        {{.seccomp = S("unconfined")}, "a seccomp profile"},
        {{.seccomp = S("{}")}, "a seccomp profile"},
        {{.network_host = true}, "network_mode: host"},
        {{.pid = S("host")}, "pid: host"},
        {{.ipc = S("host")}, "ipc: host"},
        {{.uts = S("host")}, "uts: host"},
        {{.cgroup = S("host")}, "cgroup: host"},
        {{.ulimits = &nice, .ulimits_n = 1}, "ulimits:"},
        {{.oom_score_adj = -1}, "a negative oom_score_adj"},
        {{.oom_kill_disable = true}, "oom_kill_disable"},
        {{.annotations = &annotation, .annotations_n = 1}, "annotations:"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct spec spec = {.options = cases[i].options};
        struct err err = {0};
        assert_int_equal(privilege_check(&spec, "web", &err), ERR_DENIED);
        if (!strstr(err.msg, cases[i].want) || !strstr(err.msg, "service web has "))
            fail_msg("%s says %s", cases[i].want, err.msg);
    }
}

static void covering_what_the_runtime_mounts_is_denied(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/proc", "/proc/sys/kernel", "//sys", "/sys/fs/cgroup/", "/dev", "/dev/", "/dev/null"};
    static const char *const good[] = {"/dev/shm", "/dev/shm/x", "/dev/mqueue",
                                       "/process", "/srv/dev",   "/devices"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct mount_spec mount = {.kind = MOUNT_VOLUME, .target = S(bad[i])};
        struct tmpfs_spec tmpfs = {.target = S(bad[i])};
        struct spec volume = {.mounts = &mount, .mounts_n = 1};
        struct spec memory = {.options = {.tmpfs = &tmpfs, .tmpfs_n = 1}};
        struct err err = {0};
        assert_int_equal(privilege_check(&volume, "web", &err), ERR_DENIED);
        assert_int_equal(privilege_check(&memory, "web", &err), ERR_DENIED);
    }
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct mount_spec mount = {.kind = MOUNT_VOLUME, .target = S(good[i])};
        struct spec volume = {.mounts = &mount, .mounts_n = 1};
        struct err err = {0};
        assert_int_equal(privilege_check(&volume, "web", &err), 0);
    }
}

static void what_stays_inside_is_not(void **state)
{
    (void)state;
    char *caps[] = {S("CHOWN"), S("NET_RAW")}, *drop[] = {S("ALL")};
    struct ulimit_spec files = {.name = S("nofile"), .soft = 1, .hard = 1};
    struct pair sysctl = {.key = S("net.core.somaxconn"), .value = S("1")};
    struct tmpfs_spec tmpfs = {.target = S("/run")};
    struct spec spec = {.options = {.cap_add = caps,
                                    .cap_add_n = 2,
                                    .cap_drop = drop,
                                    .cap_drop_n = 1,
                                    .ulimits = &files,
                                    .ulimits_n = 1,
                                    .sysctls = &sysctl,
                                    .sysctls_n = 1,
                                    .tmpfs = &tmpfs,
                                    .tmpfs_n = 1,
                                    .no_new_privileges = true,
                                    .userns = S("auto"),
                                    .pid = S(""),
                                    .ipc = S("private"),
                                    .oom_score_adj = 500}};
    struct err err = {0};
    assert_int_equal(privilege_check(&spec, "web", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leads_out_of_a_container_is_denied),
        cmocka_unit_test(covering_what_the_runtime_mounts_is_denied),
        cmocka_unit_test(what_stays_inside_is_not),
    };
    return cmocka_run_group_tests_name("privilege", tests, NULL, NULL);
}
