/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp.h"

#include "base/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <sys/socket.h>

#if defined(__x86_64__)
static const char *const architectures[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
static const char *const architectures[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#elif defined(__riscv)
static const char *const architectures[] = {"SCMP_ARCH_RISCV64"};
#else
static const char *const architectures[] = {0};
#endif

/* EPERM. Those of other architectures are unknown to libseccomp there and skipped. */
static const char *const denied[] = {
    "_sysctl",
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
};

static json_t *rule(const char *const *names, size_t n, int errnum)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(names[i]));
    return json_pack("{s:o, s:s, s:i}", "names", list, "action", "SCMP_ACT_ERRNO", "errnoRet",
                     errnum);
}

/* @name with @errnum where its argument @index, under @mask, equals @value. */
static json_t *rule_arg(const char *name, int errnum, int index, const char *op, json_int_t value,
                        json_int_t value_two)
{
    json_t *r = rule(&name, 1, errnum);
    json_object_set_new(r, "args",
                        json_pack("[{s:i, s:I, s:I, s:s}]", "index", index, "value", value,
                                  "valueTwo", value_two, "op", op));
    return r;
}

json_t *seccomp_json(void)
{
    if (!architectures[0])
        return NULL;
    static const int namespaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                     CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    static const char *const clone3[] = {"clone3"};
    json_t *archs = json_array(), *calls = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
        json_array_append_new(archs, json_string(architectures[i]));
    json_array_append_new(calls, rule(denied, ARRAY_SIZE(denied), EPERM));
    for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
        json_array_append_new(
            calls, rule_arg("clone", EPERM, 0, "SCMP_CMP_MASKED_EQ", namespaces[i], namespaces[i]));
    /* Its flags are in memory, where a filter does not see: programs fall back to clone. */
    json_array_append_new(calls, rule(clone3, 1, ENOSYS));
    json_array_append_new(calls, rule_arg("socket", EAFNOSUPPORT, 0, "SCMP_CMP_EQ", AF_VSOCK, 0));
    json_array_append_new(calls, rule_arg("socket", EAFNOSUPPORT, 0, "SCMP_CMP_EQ", AF_ALG, 0));
    return json_pack("{s:s, s:o, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "architectures", archs,
                     "syscalls", calls);
}
