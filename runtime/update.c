/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/update.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container_record.h"
#include "runtime/internal.h"
#include "runtime/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    PERIOD_US = 100000,
    PIDS_DEFAULT = 4096,
    SHARES_DEFAULT = 1024,
    IO_WEIGHT_DEFAULT = 500,
    FILE_MAX = 4096,
};

/* What is being written, and to where. */
struct target {
    const struct runtime *rt;
    const char *group;
    bool v2;
};

static int put(const struct target *t, const char *controller, const char *file, const char *text,
               struct err *err)
{
    cleanup_free char *path = cgroup_file(t->rt, controller, t->group, file);
    if (!path || !file_exists(path))
        return err_set(err, ERR_UNSUPPORTED, "this machine's %s cgroup controller has no %s",
                       controller, file);
    return file_write_kernel(path, text, err);
}

static int put_number(const struct target *t, const char *controller, const char *file,
                      int64_t value, struct err *err)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return put(t, controller, file, text, err);
}

static bool has(const struct target *t, const char *controller, const char *file)
{
    cleanup_free char *path = cgroup_file(t->rt, controller, t->group, file);
    return path && file_exists(path);
}

/* --- cpu -------------------------------------------------------------------------------------- */

static int put_cpu(const struct target *t, int64_t milli, struct err *err)
{
    char text[48];
    int64_t quota = milli * (PERIOD_US / 1000);
    if (t->v2) {
        if (milli > 0)
            snprintf(text, sizeof(text), "%lld %d", (long long)quota, (int)PERIOD_US);
        else
            snprintf(text, sizeof(text), "max %d", (int)PERIOD_US);
        return put(t, "cpu", "cpu.max", text, err);
    }
    /* The period stays the same from the container's start on, so the quota alone is enough. */
    return put_number(t, "cpu", "cpu.cfs_quota_us", milli > 0 ? quota : -1, err);
}

static int put_shares(const struct target *t, int64_t shares, struct err *err)
{
    if (shares == 0)
        shares = SHARES_DEFAULT;
    if (!t->v2)
        return put_number(t, "cpu", "cpu.shares", shares, err);
    /* 2..262144 to 1..10000. */
    return put_number(t, "cpu", "cpu.weight", 1 + (shares - 2) * 9999 / 262142, err);
}

/* All that its parent may: version 1 has no word for that. */
static int put_cpuset(const struct target *t, const char *cpus, struct err *err)
{
    cleanup_buf struct buf all = BUF_INIT;
    if (!*str_or_empty(cpus) && !t->v2) {
        cleanup_free char *parent = str_copy(t->group);
        *strrchr(parent, '/') = '\0';
        cleanup_free char *path = cgroup_file(t->rt, "cpuset", parent, "cpuset.cpus");
        if (path && file_read(path, FILE_MAX, &all, NULL) == 0)
            cpus = all.data;
    }
    return put(t, "cpuset", "cpuset.cpus", *str_or_empty(cpus) ? cpus : "\n", err);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Of memory and swap together; -1: none. */
static int64_t total_limit(const struct container_spec *spec)
{
    if (spec->memory_bytes == 0 || spec->memswap_bytes < 0)
        return -1;
    return spec->memswap_bytes > 0 ? spec->memswap_bytes : spec->memory_bytes;
}

/* What reclaiming cannot give back: a limit below that would have the kernel kill. */
static int check_usage(const struct target *t, int64_t limit, struct err *err)
{
    struct container_stats stats = {0};
    stats_read_group(t->rt, t->group, &stats);
    int64_t used = stats.memory_bytes - stats.memory_file_bytes;
    if (limit <= 0 || used <= limit)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "it uses %lld bytes of memory now, more than the new limit of %lld: it would be "
                   "killed; stop it first, or give it more",
                   (long long)used, (long long)limit);
}

static int64_t current(const struct target *t, const char *file)
{
    cleanup_free char *path = cgroup_file(t->rt, "memory", t->group, file);
    cleanup_buf struct buf text = BUF_INIT;
    if (!path || file_read(path, FILE_MAX, &text, NULL) < 0)
        return INT64_MAX;
    return strtoll(text.data, NULL, 10);
}

/* On version 1 memory may never be above memory and swap together, also between two writes. */
static int put_memory_v1(const struct target *t, int64_t memory, int64_t total, struct err *err)
{
    static const char memory_file[] = "memory.limit_in_bytes";
    static const char total_file[] = "memory.memsw.limit_in_bytes";
    if (!has(t, "memory", total_file))
        return put_number(t, "memory", memory_file, memory, err);
    bool raise = total < 0 || total >= current(t, total_file);
    int rv = raise ? put_number(t, "memory", total_file, total, err)
                   : put_number(t, "memory", memory_file, memory, err);
    if (rv < 0)
        return rv;
    return raise ? put_number(t, "memory", memory_file, memory, err)
                 : put_number(t, "memory", total_file, total, err);
}

static int put_max(const struct target *t, const char *file, int64_t value, struct err *err)
{
    return value < 0 ? put(t, "memory", file, "max", err)
                     : put_number(t, "memory", file, value, err);
}

static int put_memory(const struct target *t, const struct container_spec *to, struct err *err)
{
    int64_t memory = to->memory_bytes > 0 ? to->memory_bytes : -1;
    int64_t total = total_limit(to);
    int rv = check_usage(t, memory, err);
    if (rv < 0)
        return rv;
    if (!t->v2) {
        rv = put_memory_v1(t, memory, total, err);
        if (rv < 0 && err && strstr(err->msg, strerror(EBUSY)))
            err_set(err, ERR_CONFLICT,
                    "it uses more memory than the new limit of %lld bytes, and the kernel cannot "
                    "take it back",
                    (long long)memory);
        return rv;
    }
    rv = put_max(t, "memory.max", memory, err);
    if (rv == 0 && has(t, "memory", "memory.swap.max"))
        rv = put_max(t, "memory.swap.max", total < 0 ? -1 : total - memory, err);
    return rv;
}

static int put_reserved(const struct target *t, int64_t bytes, struct err *err)
{
    if (t->v2)
        return put_number(t, "memory", "memory.low", bytes, err);
    return put_number(t, "memory", "memory.soft_limit_in_bytes", bytes > 0 ? bytes : -1, err);
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* 10..1000 as version 1 has it; version 2 without BFQ has 1..10000. */
static int put_io_weight(const struct target *t, int64_t weight, struct err *err)
{
    if (weight == 0)
        weight = IO_WEIGHT_DEFAULT;
    if (!t->v2)
        return put_number(t, "blkio",
                          has(t, "blkio", "blkio.bfq.weight") ? "blkio.bfq.weight" : "blkio.weight",
                          weight, err);
    if (has(t, "io", "io.bfq.weight"))
        return put_number(t, "io", "io.bfq.weight", weight, err);
    char text[40];
    snprintf(text, sizeof(text), "default %lld", (long long)(1 + (weight - 10) * 9999 / 990));
    return put(t, "io", "io.weight", text, err);
}

static int put_device(const struct target *t, const struct container_io *io, bool off,
                      struct err *err)
{
    static const char *const v1[] = {
        "blkio.weight_device", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
        "blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"};
    static const char *const v2[] = {"", "rbps", "wbps", "riops", "wiops"};
    struct stat st;
    char text[96];
    if (stat(str_or_empty(io->path), &st) < 0)
        return err_errno(err, errno, "io: device %.100s", str_or_empty(io->path));
    if (!S_ISBLK(st.st_mode))
        return err_set(err, ERR_INVALID, "io: %.100s is no block device", io->path);
    unsigned major = major(st.st_rdev), minor = minor(st.st_rdev);
    long long value = off ? 0 : (long long)io->value;
    if (!t->v2) {
        snprintf(text, sizeof(text), "%u:%u %lld", major, minor, value);
        return put(t, "blkio", v1[io->kind], text, err);
    }
    if (io->kind == CONTAINER_IO_WEIGHT) {
        snprintf(text, sizeof(text), off ? "%u:%u default" : "%u:%u %lld", major, minor,
                 1 + (value - 10) * 9999 / 990);
        return put(t, "io", "io.weight", text, err);
    }
    snprintf(text, sizeof(text), off ? "%u:%u %s=max" : "%u:%u %s=%lld", major, minor, v2[io->kind],
             value);
    return put(t, "io", "io.max", text, err);
}

static int put_devices(const struct target *t, const struct container_spec *from,
                       const struct container_spec *to, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; i < from->io_n; i++)
        put_device(t, &from->io[i], true, NULL); /* a device that is gone has no limit */
    for (size_t i = 0; i < to->io_n && rv == 0; i++)
        rv = put_device(t, &to->io[i], false, err);
    return rv;
}

/* --- all -------------------------------------------------------------------------------------- */

int update_group(const struct runtime *rt, const char *group, const struct container_spec *from,
                 const struct container_spec *to, unsigned set, struct err *err)
{
    struct target t = {.rt = rt, .group = group, .v2 = rt->cgroup_mode == CGROUP_V2};
    int rv = 0;
    /* Memory first: it is what may be refused. */
    if (set & (CONTAINER_UPDATE_MEMORY | CONTAINER_UPDATE_MEMSWAP))
        rv = put_memory(&t, to, err);
    if (rv == 0 && set & CONTAINER_UPDATE_RESERVED)
        rv = put_reserved(&t, to->reserved_bytes, err);
    if (rv == 0 && set & CONTAINER_UPDATE_CPU)
        rv = put_cpu(&t, to->cpu_milli, err);
    if (rv == 0 && set & CONTAINER_UPDATE_CPU_SHARES)
        rv = put_shares(&t, to->cpu_shares, err);
    if (rv == 0 && set & CONTAINER_UPDATE_CPUSET)
        rv = put_cpuset(&t, to->cpuset, err);
    if (rv == 0 && set & CONTAINER_UPDATE_PIDS)
        rv =
            put_number(&t, "pids", "pids.max", to->pids_max > 0 ? to->pids_max : PIDS_DEFAULT, err);
    if (rv == 0 && set & CONTAINER_UPDATE_IO_WEIGHT)
        rv = put_io_weight(&t, to->io_weight, err);
    if (rv == 0 && set & CONTAINER_UPDATE_IO)
        rv = put_devices(&t, from, to, err);
    return rv;
}

static void merge(struct container_spec *spec, const struct container_update *u)
{
    if (u->set & CONTAINER_UPDATE_CPU)
        spec->cpu_milli = u->cpu_milli;
    if (u->set & CONTAINER_UPDATE_CPU_SHARES)
        spec->cpu_shares = u->cpu_shares;
    if (u->set & CONTAINER_UPDATE_CPUSET)
        spec->cpuset = *str_or_empty(u->cpuset) ? u->cpuset : NULL;
    if (u->set & CONTAINER_UPDATE_MEMORY)
        spec->memory_bytes = u->memory_bytes;
    if (u->set & CONTAINER_UPDATE_MEMSWAP)
        spec->memswap_bytes = u->memswap_bytes;
    if (u->set & CONTAINER_UPDATE_RESERVED)
        spec->reserved_bytes = u->reserved_bytes;
    if (u->set & CONTAINER_UPDATE_PIDS)
        spec->pids_max = u->pids_max;
    if (u->set & CONTAINER_UPDATE_IO_WEIGHT)
        spec->io_weight = u->io_weight;
    if (u->set & CONTAINER_UPDATE_IO) {
        spec->io = u->io;
        spec->io_n = u->io_n;
    }
}

static int check_new(const struct runtime *rt, const struct container_spec *spec,
                     const struct container_update *u, struct err *err)
{
    static const struct {
        unsigned bits;
        const char *controller, *v2;
    } needs[] = {{CONTAINER_UPDATE_CPU | CONTAINER_UPDATE_CPU_SHARES, "cpu", "cpu"},
                 {CONTAINER_UPDATE_CPUSET, "cpuset", "cpuset"},
                 {CONTAINER_UPDATE_MEMORY | CONTAINER_UPDATE_MEMSWAP | CONTAINER_UPDATE_RESERVED,
                  "memory", "memory"},
                 {CONTAINER_UPDATE_PIDS, "pids", "pids"},
                 {CONTAINER_UPDATE_IO_WEIGHT | CONTAINER_UPDATE_IO, "blkio", "io"}};
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        const char *name = rt->cgroup_mode == CGROUP_V2 ? needs[i].v2 : needs[i].controller;
        if (u->set & needs[i].bits && !cgroup_has(rt, name))
            return err_set(err, ERR_UNSUPPORTED, "this machine has no %s cgroup controller", name);
    }
    return container_record_check(spec, err);
}

int container_update(struct runtime *rt, const char *id, const struct container_update *update,
                     struct err *err)
{
    cleanup_record struct container_record record = {0};
    struct container_state state;
    int rv = container_record_load(rt, id, &record, err);
    if (rv < 0 || (rv = container_state(rt, id, &state, err)) < 0)
        return rv;
    struct container_spec spec = record.spec;
    merge(&spec, update);
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *path = str_printf("%s/spec.json", dir);
    bool runs = state.status == CONTAINER_RUNNING;
    rv = check_new(rt, &spec, update, err);
    if (rv == 0 && runs)
        rv = update_group(rt, group, &record.spec, &spec, update->set, err);
    if (rv == 0)
        rv = container_record_save(path, &spec, record.image_digest, err);
    if (rv < 0 && runs)
        update_group(rt, group, &spec, &record.spec, update->set, NULL);
    return rv < 0 ? err_wrap(err, "update container %s", id) : 0;
}
