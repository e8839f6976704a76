/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stats.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 256 << 10, /* io.stat has a line a device */
};

#define NO_LIMIT (INT64_MAX / 4096 * 4096 - 4096) /* version 1 writes about so much for none */

/* The files of one group. */
struct reader {
    const struct runtime *rt;
    const char *group;
    struct buf text; /* of the file read last */
};

/* Read @file of @controller into r->text. False without one. */
static bool read_file(struct reader *r, const char *controller, const char *file)
{
    cleanup_free char *path = cgroup_file(r->rt, controller, r->group, file);
    buf_reset(&r->text);
    return path && file_read(path, FILE_MAX, &r->text, NULL) == 0 && r->text.len > 0;
}

static int64_t number_of(const char *text)
{
    long long value = strtoll(text, NULL, 10);
    return value > 0 ? value : 0;
}

/* A file with one number; "max" is 0. */
static int64_t read_number(struct reader *r, const char *controller, const char *file)
{
    return read_file(r, controller, file) ? number_of(r->text.data) : 0;
}

/* The number behind @key and a blank at the beginning of a line of @text; 0 without one. */
static int64_t value_of(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return number_of(line + len + 1);
    }
    return 0;
}

/* --- version 1 -------------------------------------------------------------------------------- */

static void read_cpu_v1(struct reader *r, struct container_stats *s)
{
    int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
    s->cpu_ns = read_number(r, "cpuacct", "cpuacct.usage");
    if (read_file(r, "cpuacct", "cpuacct.stat")) {
        s->cpu_user_ns = value_of(r->text.data, "user") * tick_ns;
        s->cpu_system_ns = value_of(r->text.data, "system") * tick_ns;
    }
    if (read_file(r, "cpu", "cpu.stat")) {
        s->periods = value_of(r->text.data, "nr_periods");
        s->throttled_periods = value_of(r->text.data, "nr_throttled");
        s->throttled_ns = value_of(r->text.data, "throttled_time");
    }
    int64_t quota = read_number(r, "cpu", "cpu.cfs_quota_us");
    int64_t period = quota ? read_number(r, "cpu", "cpu.cfs_period_us") : 0;
    s->cpu_limit_milli = period ? quota * 1000 / period : 0;
}

static void read_memory_v1(struct reader *r, struct container_stats *s)
{
    s->memory_bytes = read_number(r, "memory", "memory.usage_in_bytes");
    s->memory_peak_bytes = read_number(r, "memory", "memory.max_usage_in_bytes");
    int64_t limit = read_number(r, "memory", "memory.limit_in_bytes");
    s->memory_limit_bytes = limit < NO_LIMIT ? limit : 0;
    if (read_file(r, "memory", "memory.stat")) {
        int64_t inactive = value_of(r->text.data, "total_inactive_file");
        s->memory_file_bytes = inactive + value_of(r->text.data, "total_active_file");
        s->memory_working_bytes = s->memory_bytes > inactive ? s->memory_bytes - inactive : 0;
        s->swap_bytes = value_of(r->text.data, "total_swap");
    }
    if (read_file(r, "memory", "memory.oom_control"))
        s->oom_kills = value_of(r->text.data, "oom_kill");
}

/* Lines "8:0 Read 4096", and a total without a device. */
static void sum_blkio(const char *text, int64_t *reads, int64_t *writes)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        long long value;
        char kind[16];
        line += *line == '\n';
        if (sscanf(line, "%*u:%*u %15s %lld", kind, &value) != 2 || value < 0)
            continue;
        if (strcmp(kind, "Read") == 0)
            *reads += value;
        else if (strcmp(kind, "Write") == 0)
            *writes += value;
    }
}

static void read_io_v1(struct reader *r, struct container_stats *s)
{
    if (read_file(r, "blkio", "blkio.throttle.io_service_bytes_recursive") ||
        read_file(r, "blkio", "blkio.throttle.io_service_bytes"))
        sum_blkio(r->text.data, &s->read_bytes, &s->write_bytes);
    if (read_file(r, "blkio", "blkio.throttle.io_serviced_recursive") ||
        read_file(r, "blkio", "blkio.throttle.io_serviced"))
        sum_blkio(r->text.data, &s->reads, &s->writes);
}

/* --- version 2 -------------------------------------------------------------------------------- */

static void read_cpu_v2(struct reader *r, struct container_stats *s)
{
    long long quota, period;
    if (read_file(r, "cpu", "cpu.stat")) {
        s->cpu_ns = value_of(r->text.data, "usage_usec") * 1000;
        s->cpu_user_ns = value_of(r->text.data, "user_usec") * 1000;
        s->cpu_system_ns = value_of(r->text.data, "system_usec") * 1000;
        s->periods = value_of(r->text.data, "nr_periods");
        s->throttled_periods = value_of(r->text.data, "nr_throttled");
        s->throttled_ns = value_of(r->text.data, "throttled_usec") * 1000;
    }
    if (read_file(r, "cpu", "cpu.max") && sscanf(r->text.data, "%lld %lld", &quota, &period) == 2 &&
        period > 0)
        s->cpu_limit_milli = quota * 1000 / period;
    if (read_file(r, "cpu", "cpu.pressure"))
        stats_parse_pressure(r->text.data, &s->cpu_pressure);
}

static void read_memory_v2(struct reader *r, struct container_stats *s)
{
    s->memory_bytes = read_number(r, "memory", "memory.current");
    s->memory_peak_bytes = read_number(r, "memory", "memory.peak");
    s->memory_limit_bytes = read_number(r, "memory", "memory.max");
    s->swap_bytes = read_number(r, "memory", "memory.swap.current");
    if (read_file(r, "memory", "memory.stat")) {
        int64_t inactive = value_of(r->text.data, "inactive_file");
        s->memory_file_bytes = inactive + value_of(r->text.data, "active_file");
        s->memory_working_bytes = s->memory_bytes > inactive ? s->memory_bytes - inactive : 0;
    }
    if (read_file(r, "memory", "memory.events"))
        s->oom_kills = value_of(r->text.data, "oom_kill");
    if (read_file(r, "memory", "memory.pressure"))
        stats_parse_pressure(r->text.data, &s->memory_pressure);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" a device. */
static void read_io_v2(struct reader *r, struct container_stats *s)
{
    static const char *const keys[] = {" rbytes=", " wbytes=", " rios=", " wios="};
    int64_t *const sums[] = {&s->read_bytes, &s->write_bytes, &s->reads, &s->writes};
    if (read_file(r, "io", "io.stat")) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
            for (const char *p = r->text.data; (p = strstr(p, keys[i])); p++)
                *sums[i] += number_of(p + strlen(keys[i]));
    }
    if (read_file(r, "io", "io.pressure"))
        stats_parse_pressure(r->text.data, &s->io_pressure);
}

/* --- both ------------------------------------------------------------------------------------- */

void stats_parse_pressure(const char *text, struct container_pressure *pressure)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        char kind[8];
        unsigned whole, part;
        long long total;
        line += *line == '\n';
        if (sscanf(line, "%7s avg10=%u.%2u avg60=%*u.%*u avg300=%*u.%*u total=%lld", kind, &whole,
                   &part, &total) != 4)
            continue;
        bool full = strcmp(kind, "full") == 0;
        pressure->known = true;
        *(full ? &pressure->full_centi : &pressure->some_centi) = (int64_t)whole * 100 + part;
        *(full ? &pressure->full_us : &pressure->some_us) = total;
    }
}

void stats_parse_network(const char *text, struct container_stats *s)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        char name[32];
        unsigned long long rx, rx_packets, rx_dropped, tx, tx_packets, tx_dropped;
        line += *line == '\n';
        if (sscanf(line, " %31[^: ]: %llu %llu %*u %llu %*u %*u %*u %*u %llu %llu %*u %llu", name,
                   &rx, &rx_packets, &rx_dropped, &tx, &tx_packets, &tx_dropped) != 7)
            continue;
        s->network_known = true;
        if (strcmp(name, "lo") == 0)
            continue;
        s->rx_bytes += (int64_t)rx;
        s->rx_packets += (int64_t)rx_packets;
        s->rx_dropped += (int64_t)rx_dropped;
        s->tx_bytes += (int64_t)tx;
        s->tx_packets += (int64_t)tx_packets;
        s->tx_dropped += (int64_t)tx_dropped;
    }
}

void stats_read_group(const struct runtime *rt, const char *group, struct container_stats *stats)
{
    struct reader r = {.rt = rt, .group = group};
    if (rt->cgroup_mode == CGROUP_V2) {
        read_cpu_v2(&r, stats);
        read_memory_v2(&r, stats);
        read_io_v2(&r, stats);
    } else {
        read_cpu_v1(&r, stats);
        read_memory_v1(&r, stats);
        read_io_v1(&r, stats);
    }
    stats->pids = read_number(&r, "pids", "pids.current");
    stats->pids_limit = read_number(&r, "pids", "pids.max");
    buf_release(&r.text);
}

/* The links of the namespace that process @pid is in, unless that is ours. */
static void read_network(pid_t pid, struct container_stats *s)
{
    struct stat ours, its;
    cleanup_free char *space = str_printf("/proc/%d/ns/net", (int)pid);
    cleanup_free char *path = str_printf("/proc/%d/net/dev", (int)pid);
    cleanup_buf struct buf text = BUF_INIT;
    if (stat("/proc/self/ns/net", &ours) == 0 && stat(space, &its) == 0 &&
        (ours.st_ino != its.st_ino || ours.st_dev != its.st_dev) &&
        file_read(path, FILE_MAX, &text, NULL) == 0)
        stats_parse_network(str_or_empty(text.data), s);
}

int container_stats(struct runtime *rt, const char *id, struct container_stats *ret,
                    struct err *err)
{
    struct container_state state;
    struct container_stats stats = {0};
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (state.status != CONTAINER_RUNNING || state.pid <= 0)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    cleanup_free char *group = container_group(rt, id);
    stats.time_ns = clock_mono_ns();
    stats.run = state.run;
    stats_read_group(rt, group, &stats);
    read_network(state.pid, &stats);
    /* It may have ended meanwhile, and its number be another's. */
    struct container_state after;
    if ((rv = container_state(rt, id, &after, err)) < 0)
        return rv;
    if (after.status != CONTAINER_RUNNING || after.pid != state.pid)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    *ret = stats;
    return 0;
}
