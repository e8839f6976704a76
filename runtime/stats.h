/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats - what a container uses, by the kernel's own count.
 *
 * Read from the files of its control groups (version 1, 2, or both at once) and of its network
 * namespace: about fifteen small reads, no process, nothing kept open. A number that this kernel
 * does not have is 0. What grows (times, bytes) counts from the start of the run; two readings and
 * their time_ns give rates. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_STATS_H
#define WHERRY_RUNTIME_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct runtime;

/* Pressure stall information (Documentation/accounting/psi.rst): how long work stood still for want
 * of something. */
struct container_pressure {
    bool known;         /* this control group has it: version 2 */
    int64_t some_centi; /* hundredths of a percent of the last 10 s: some process waited */
    int64_t full_centi; /* … all of them did */
    int64_t some_us;    /* in all */
    int64_t full_us;
};

struct container_stats {
    int64_t time_ns; /* of the reading, CLOCK_MONOTONIC */
    int64_t run;

    int64_t cpu_ns; /* processor time in all */
    int64_t cpu_user_ns;
    int64_t cpu_system_ns;
    int64_t cpu_limit_milli;   /* 0: none */
    int64_t periods;           /* of its limit, in all */
    int64_t throttled_periods; /* … in which it had to wait */
    int64_t throttled_ns;      /* … for so long */

    int64_t memory_bytes;         /* all that is charged, with the cache of files */
    int64_t memory_working_bytes; /* without files that were not used for long */
    int64_t memory_file_bytes;    /* cache of files */
    int64_t memory_peak_bytes;
    int64_t memory_limit_bytes; /* 0: none */
    int64_t swap_bytes;
    int64_t oom_kills; /* processes killed for want of memory */

    int64_t read_bytes; /* from and to block devices */
    int64_t write_bytes;
    int64_t reads;
    int64_t writes;

    int64_t pids;
    int64_t pids_limit; /* 0: none */

    struct container_pressure cpu_pressure;
    struct container_pressure memory_pressure;
    struct container_pressure io_pressure;

    bool network_known; /* false: it has the host's network */
    int64_t rx_bytes;   /* received by it, over all its links but lo */
    int64_t rx_packets;
    int64_t rx_dropped;
    int64_t tx_bytes;
    int64_t tx_packets;
    int64_t tx_dropped;
};

/* What container @id uses. ERR_NOTFOUND when it does not run. */
int container_stats(struct runtime *rt, const char *id, struct container_stats *ret,
                    struct err *err);

/* --- for the other files of runtime/, and tests ----------------------------------------------- */

/* Add to @stats what the files of @group say. */
void stats_read_group(const struct runtime *rt, const char *group, struct container_stats *stats);

/* Add to @stats what @text, a /proc/PID/net/dev (proc(5)), says. */
void stats_parse_network(const char *text, struct container_stats *stats);

/* Fill @pressure from @text, a *.pressure file. */
void stats_parse_pressure(const char *text, struct container_pressure *pressure);

#endif
