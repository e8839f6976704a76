/* SPDX-License-Identifier: Apache-2.0 */
#include "node/privilege.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/mount_target.h"
#include "store/options.h"

#include <string.h>

/* A capability that containers do not have anyway. */
static bool adds_capability(const struct container_options *o)
{
    for (size_t i = 0; i < o->cap_add_n; i++)
        if (!option_capability_is_default(str_or_empty(o->cap_add[i])))
            return true;
    return false;
}

/* Priority over the machine's own processes. */
static bool has_priority(const struct container_options *o)
{
    for (size_t i = 0; i < o->ulimits_n; i++)
        if (str_equal(o->ulimits[i].name, "rtprio") || str_equal(o->ulimits[i].name, "nice"))
            return true;
    return false;
}

/* Something of its own where the OCI runtime relies on what it has mounted there. */
static bool covers_system(const struct spec *spec)
{
    bool found = false;
    for (size_t i = 0; i < spec->mounts_n; i++)
        found |= mount_target_is_system(str_or_empty(spec->mounts[i].target));
    for (size_t i = 0; i < spec->options.tmpfs_n; i++)
        found |= mount_target_is_system(str_or_empty(spec->options.tmpfs[i].target));
    return found;
}

int privilege_check(const struct spec *spec, const char *service, struct err *err)
{
    const struct container_options *o = &spec->options;
    const struct {
        bool asks;
        const char *what;
    } asks[] = {
        {o->privileged, "privileged: true"},
        {adds_capability(o), "cap_add: of a capability that containers do not have"},
        {o->devices_n > 0, "devices:"},
        {o->device_rules_n > 0, "device_cgroup_rules:"},
        {*str_or_empty(o->seccomp) != '\0', "a seccomp profile of its own"},
        {o->network_host, "network_mode: host"},
        {str_equal(o->pid, "host"), "pid: host"},
        {str_equal(o->ipc, "host"), "ipc: host"},
        {str_equal(o->uts, "host"), "uts: host"},
        {str_equal(o->cgroup, "host"), "cgroup: host"},
        {has_priority(o), "ulimits: of rtprio or nice"},
        {o->oom_score_adj < 0, "a negative oom_score_adj"},
        {o->oom_kill_disable, "oom_kill_disable: true"},
        {covers_system(spec), "a mount over /proc, /sys or /dev"},
        /* Some OCI runtimes run programs of the machine for one. */
        {o->annotations_n > 0, "annotations:"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
        if (asks[i].asks)
            return err_set(err, ERR_DENIED,
                           "service %.63s has %s, and with that more of its machine than a "
                           "container has: only an admin may deploy this",
                           str_or_empty(service), asks[i].what);
    return 0;
}
