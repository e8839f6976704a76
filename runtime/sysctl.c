/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sysctl.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"

#include <stdbool.h>
#include <string.h>

/* ipc_namespaces(7) */
static const char *const ipc_names[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                        "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                        "kernel.shmmni", "kernel.shm_rmid_forced"};

static bool is_ipc(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(ipc_names); i++) {
        if (strcmp(name, ipc_names[i]) == 0)
            return true;
    }
    return str_starts(name, "fs.mqueue.");
}

/* It becomes a path below /proc/sys: plain words between single dots. */
static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len < 256 && name[0] != '.' && name[len - 1] != '.' && !strstr(name, "..") &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == len;
}

int sysctl_check(const struct container_spec *spec, struct err *err)
{
    for (const char *const *s = spec->sysctls; s && *s; s++) {
        const char *equals = strchr(*s, '=');
        cleanup_free char *name =
            equals ? str_printf("%.*s", (int)(equals - *s), *s) : str_copy("");
        if (!name_ok(name) || strlen(equals) > 4096 || strchr(equals, '\n'))
            return err_set(err, ERR_INVALID, "sysctls: '%.60s' is not NAME=VALUE", *s);
        if (str_starts(name, "net.") && !spec->netns)
            return err_set(err, ERR_INVALID,
                           "sysctls: %s would be the machine's: the container has its network",
                           name);
        if (is_ipc(name) && spec->ipc_host)
            return err_set(err, ERR_INVALID,
                           "sysctls: %s would be the machine's: the container has its IPC", name);
        if (!str_starts(name, "net.") && !is_ipc(name))
            return err_set(err, ERR_INVALID,
                           "sysctls: %s is of the whole machine, not of a container; set it there",
                           name);
    }
    return 0;
}
