/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/capability.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* By number. */
static const char *const names[] = {"CAP_CHOWN",
                                    "CAP_DAC_OVERRIDE",
                                    "CAP_DAC_READ_SEARCH",
                                    "CAP_FOWNER",
                                    "CAP_FSETID",
                                    "CAP_KILL",
                                    "CAP_SETGID",
                                    "CAP_SETUID",
                                    "CAP_SETPCAP",
                                    "CAP_LINUX_IMMUTABLE",
                                    "CAP_NET_BIND_SERVICE",
                                    "CAP_NET_BROADCAST",
                                    "CAP_NET_ADMIN",
                                    "CAP_NET_RAW",
                                    "CAP_IPC_LOCK",
                                    "CAP_IPC_OWNER",
                                    "CAP_SYS_MODULE",
                                    "CAP_SYS_RAWIO",
                                    "CAP_SYS_CHROOT",
                                    "CAP_SYS_PTRACE",
                                    "CAP_SYS_PACCT",
                                    "CAP_SYS_ADMIN",
                                    "CAP_SYS_BOOT",
                                    "CAP_SYS_NICE",
                                    "CAP_SYS_RESOURCE",
                                    "CAP_SYS_TIME",
                                    "CAP_SYS_TTY_CONFIG",
                                    "CAP_MKNOD",
                                    "CAP_LEASE",
                                    "CAP_AUDIT_WRITE",
                                    "CAP_AUDIT_CONTROL",
                                    "CAP_SETFCAP",
                                    "CAP_MAC_OVERRIDE",
                                    "CAP_MAC_ADMIN",
                                    "CAP_SYSLOG",
                                    "CAP_WAKE_ALARM",
                                    "CAP_BLOCK_SUSPEND",
                                    "CAP_AUDIT_READ",
                                    "CAP_PERFMON",
                                    "CAP_BPF",
                                    "CAP_CHECKPOINT_RESTORE"};
_Static_assert(ARRAY_SIZE(names) == CAPABILITY_LAST + 1, "a name for each number");

#define BIT(number) (UINT64_C(1) << (number))
#define EVERYTHING  (BIT(CAPABILITY_LAST + 1) - 1)

uint64_t capability_default(void)
{
    return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
           BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |
           BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) | BIT(CAP_SYS_CHROOT) | BIT(CAP_MKNOD) |
           BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP);
}

const char *capability_name(int number)
{
    return number >= 0 && number <= CAPABILITY_LAST ? names[number] : NULL;
}

int capability_number(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(name, names[i] + 4) == 0)
            return (int)i;
    }
    return -1;
}

static uint64_t status_line(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line ? strtoull(line + strlen(key), NULL, 16) : EVERYTHING;
}

uint64_t capability_own(void)
{
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read("/proc/thread-self/status", 65536, &text, NULL) < 0)
        return EVERYTHING;
    return status_line(text.data, "\nCapPrm:") & status_line(text.data, "\nCapBnd:") & EVERYTHING;
}

static bool is_all(const char *name)
{
    return strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0;
}

/* The bits of a list, without ALL. */
static int read_list(const char *field, const char *const *list, uint64_t *ret_set, bool *ret_all,
                     struct err *err)
{
    uint64_t set = 0;
    bool all = false;
    for (; list && *list; list++) {
        int number = capability_number(*list);
        if (is_all(*list))
            all = true;
        else if (number < 0)
            return err_set(err, ERR_INVALID, "%s: there is no capability '%.60s'", field, *list);
        else
            set |= BIT(number);
    }
    *ret_set = set;
    *ret_all = all;
    return 0;
}

int capability_set(const struct container_spec *spec, uint64_t own, uint64_t *ret_set,
                   struct err *err)
{
    uint64_t add, drop;
    bool add_all, drop_all;
    int rv = read_list("cap_add", spec->cap_add, &add, &add_all, err);
    if (rv == 0)
        rv = read_list("cap_drop", spec->cap_drop, &drop, &drop_all, err);
    if (rv < 0)
        return rv;
    for (int i = 0; i <= CAPABILITY_LAST; i++) {
        if (add & ~own & BIT(i))
            return err_set(err, ERR_UNSUPPORTED,
                           "cap_add: %s is not given to the daemon on this machine itself",
                           names[i]);
    }
    if (spec->privileged)
        *ret_set = own;
    else if (add_all)
        *ret_set = own & ~drop;
    else if (drop_all)
        *ret_set = add;
    else
        *ret_set = ((capability_default() & ~drop) | add) & own;
    return 0;
}
