/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine - what this machine can do for a container, as of now.
 *
 * Read at each create and start (some small kernel files); what follows from it is decided by pure
 * functions, so that tests can stand on any machine.
 */
#ifndef WHERRY_RUNTIME_MACHINE_H
#define WHERRY_RUNTIME_MACHINE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct container_spec;
struct err;
struct runtime;

enum {
    MACHINE_LIMITS = 16, /* numbers of setrlimit(2) */
};

struct machine {
    bool cgroup_v2; /* version 2 alone: a cgroup namespace of its own */
    /* Which controllers and files there are to set limits with. */
    bool has_memory;
    bool has_swap;
    bool has_swappiness;
    bool has_oom_control;
    bool has_cpu;
    bool has_cpuset;
    bool has_pids;
    bool has_io;
    bool has_io_weight;
    bool has_devices;
    bool has_apparmor;
    bool has_userns;              /* with layers mapped: Linux 5.19 */
    uint64_t capabilities;        /* that it can hand on (capability.h) */
    int oom_score_adj;            /* the daemon's own: without CAP_SYS_RESOURCE it is the least */
    int64_t hard[MACHINE_LIMITS]; /* the daemon's own hard limits, -1: none */
    cpu_set_t cpus;               /* on line */
};

/* Look. Cannot fail: what cannot be read is not there. */
void machine_read(const struct runtime *rt, struct machine *ret);

/* ERR_UNSUPPORTED with the field's name for what @spec asks of a machine and this one has not,
 * ERR_INVALID for values it cannot have. Pure. */
int machine_check(const struct machine *machine, const struct container_spec *spec,
                  struct err *err);

#endif
