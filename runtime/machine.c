/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/machine.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/capability.h"
#include "runtime/cgroup.h"
#include "runtime/container.h"
#include "runtime/cpuset.h"
#include "runtime/internal.h"
#include "runtime/seccomp.h"
#include "runtime/ulimit.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The hierarchies' roots lack most files: look in the group that all containers are in. */
static bool has_file(const struct runtime *rt, const char *controller, const char *file)
{
    cleanup_free char *group = str_printf("%s/container", rt->cgroup_parent);
    cleanup_free char *path = cgroup_file(rt, controller, group, file);
    return path && file_exists(path);
}

static void read_controllers(const struct runtime *rt, struct machine *m)
{
    bool v2 = rt->cgroup_mode == CGROUP_V2;
    m->cgroup_v2 = v2;
    m->has_memory = cgroup_has(rt, "memory");
    m->has_cpu = cgroup_has(rt, "cpu");
    m->has_cpuset = cgroup_has(rt, "cpuset");
    m->has_pids = cgroup_has(rt, "pids");
    m->has_swap = has_file(rt, "memory", v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes");
    m->has_swappiness = !v2 && has_file(rt, "memory", "memory.swappiness");
    m->has_oom_control = !v2 && has_file(rt, "memory", "memory.oom_control");
    m->has_io = cgroup_has(rt, v2 ? "io" : "blkio");
    m->has_io_weight =
        v2 ? has_file(rt, "io", "io.weight") || has_file(rt, "io", "io.bfq.weight")
           : has_file(rt, "blkio", "blkio.weight") || has_file(rt, "blkio", "blkio.bfq.weight");
    m->has_devices = v2 || cgroup_has(rt, "devices");
}

static int own_oom_score(void)
{
    cleanup_buf struct buf text = BUF_INIT;
    return file_read("/proc/self/oom_score_adj", 32, &text, NULL) == 0 ? atoi(text.data) : 0;
}

void machine_read(const struct runtime *rt, struct machine *ret)
{
    struct machine m = {.capabilities = capability_own(), .oom_score_adj = own_oom_score()};
    read_controllers(rt, &m);
    cleanup_buf struct buf text = BUF_INIT;
    m.has_apparmor = file_read("/sys/module/apparmor/parameters/enabled", 16, &text, NULL) == 0 &&
                     text.data[0] == 'Y';
    buf_reset(&text);
    m.has_userns = seccomp_kernel() >= (5 << 16 | 19) &&
                   file_read("/proc/sys/user/max_user_namespaces", 32, &text, NULL) == 0 &&
                   atoi(text.data) > 0;
    for (int i = 0; i < MACHINE_LIMITS; i++) {
        struct rlimit limit = {0};
        m.hard[i] = -1;
        if (getrlimit((__rlimit_resource_t)i, &limit) == 0 && limit.rlim_max <= INT64_MAX)
            m.hard[i] = (int64_t)limit.rlim_max;
    }
    buf_reset(&text);
    if (file_read("/sys/devices/system/cpu/online", 4096, &text, NULL) == 0) {
        text.data[strcspn(text.data, "\n")] = '\0';
        cpuset_parse(text.data, &m.cpus);
    }
    *ret = m;
}

static bool may_raise(const struct machine *m)
{
    return m->capabilities & (UINT64_C(1) << CAP_SYS_RESOURCE);
}

/* One line for each option that needs a controller or a file of one. */
static int check_controllers(const struct machine *m, const struct container_spec *spec,
                             struct err *err)
{
    bool v2 = m->cgroup_v2;
    const struct {
        const char *field;
        bool asked;
        bool there;
        const char *what;
    } needs[] = {
        {"memory_bytes", spec->memory_bytes > 0, m->has_memory, "memory cgroup controller"},
        {"reserved_bytes", spec->reserved_bytes > 0, m->has_memory, "memory cgroup controller"},
        {"memswap_bytes", spec->memswap_bytes != 0, m->has_swap,
         "limit of swap in its memory cgroup controller"},
        {"swappiness_set", spec->swappiness_set > 0, m->has_swappiness,
         v2 ? "swappiness of a group in cgroup version 2" : "memory cgroup controller"},
        {"oom_kill_disable", spec->oom_kill_disable, m->has_oom_control,
         v2 ? "way to put off the OOM killer in cgroup version 2" : "memory cgroup controller"},
        {"cpu_milli", spec->cpu_milli > 0, m->has_cpu, "cpu cgroup controller"},
        {"cpu_shares", spec->cpu_shares > 0, m->has_cpu, "cpu cgroup controller"},
        {"cpuset", spec->cpuset != NULL, m->has_cpuset, "cpuset cgroup controller"},
        {"pids_max", spec->pids_max > 0, m->has_pids, "pids cgroup controller"},
        {"io_weight", spec->io_weight > 0, m->has_io_weight,
         "weights in its io cgroup controller (the BFQ scheduler or io.cost)"},
        {"io", spec->io_n > 0, m->has_io, v2 ? "io cgroup controller" : "blkio cgroup controller"},
        {"devices", spec->devices_n > 0, m->has_devices, "devices cgroup controller"},
        {"device_rules", spec->device_rules != NULL, m->has_devices, "devices cgroup controller"},
        {"userns", spec->userns, m->has_userns,
         "user namespaces with mapped mounts (Linux 5.19, sysctl user.max_user_namespaces)"},
        {"apparmor", spec->apparmor != NULL && strcmp(spec->apparmor, "unconfined") != 0,
         m->has_apparmor, "AppArmor in its kernel"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        if (needs[i].asked && !needs[i].there)
            return err_set(err, ERR_UNSUPPORTED, "%s: this machine has no %s", needs[i].field,
                           needs[i].what);
    }
    for (size_t i = 0; i < spec->io_n; i++) {
        if (spec->io[i].kind == CONTAINER_IO_WEIGHT && !m->has_io_weight)
            return err_set(err, ERR_UNSUPPORTED,
                           "io: this machine has no weights of devices in its io cgroup "
                           "controller (the BFQ scheduler or io.cost)");
    }
    return 0;
}

static int check_ulimits(const struct machine *m, const struct container_spec *spec,
                         struct err *err)
{
    for (size_t i = 0; i < spec->ulimits_n && !may_raise(m); i++) {
        const struct container_ulimit *u = &spec->ulimits[i];
        int64_t own = m->hard[ulimit_number(u->name)];
        if (own >= 0 && (u->hard < 0 || u->hard > own))
            return err_set(err, ERR_UNSUPPORTED,
                           "ulimits: %s above %lld, the daemon's own hard limit, which it cannot "
                           "raise without CAP_SYS_RESOURCE; raise it where the daemon is started",
                           u->name, (long long)own);
    }
    return 0;
}

static int check_cpus(const struct machine *m, const struct container_spec *spec, struct err *err)
{
    cpu_set_t asked;
    if (!spec->cpuset || !cpuset_parse(spec->cpuset, &asked))
        return 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &asked) && !CPU_ISSET(cpu, &m->cpus))
            return err_set(err, ERR_UNSUPPORTED, "cpuset: this machine has no CPU %zu", cpu);
    }
    return 0;
}

int machine_check(const struct machine *m, const struct container_spec *spec, struct err *err)
{
    uint64_t set;
    int rv = check_controllers(m, spec, err);
    if (rv == 0)
        rv = capability_set(spec, m->capabilities, &set, err);
    if (rv == 0)
        rv = check_ulimits(m, spec, err);
    if (rv == 0)
        rv = check_cpus(m, spec, err);
    if (rv == 0 && spec->oom_score_adj < m->oom_score_adj && spec->oom_score_adj != 0 &&
        !may_raise(m))
        return err_set(err, ERR_UNSUPPORTED,
                       "oom_score_adj: below %d, the daemon's own, takes CAP_SYS_RESOURCE, which "
                       "it has not on this machine",
                       m->oom_score_adj);
    return rv;
}
