/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update - other limits for a container that exists, without a restart.
 *
 * The kernel's files of its control group are written at once when it runs, and its record on disk
 * is, so that its next run has them too. Versions 1 and 2 of control groups have other files and
 * scales for the same thing (OCI runtime specification, config-linux.md; for 2 the conversions that
 * runc and crun use); which is which is decided here. Every function blocks; any thread.
 */
#ifndef WHERRY_RUNTIME_UPDATE_H
#define WHERRY_RUNTIME_UPDATE_H

#include "runtime/container.h"

struct err;
struct runtime;

enum container_update_field {
    CONTAINER_UPDATE_CPU = 1,
    CONTAINER_UPDATE_CPU_SHARES = 2,
    CONTAINER_UPDATE_CPUSET = 4,
    CONTAINER_UPDATE_MEMORY = 8,
    CONTAINER_UPDATE_MEMSWAP = 16,
    CONTAINER_UPDATE_RESERVED = 32,
    CONTAINER_UPDATE_PIDS = 64,
    CONTAINER_UPDATE_IO_WEIGHT = 128,
    CONTAINER_UPDATE_IO = 256,
};

/* What is to change: the fields of struct container_spec of those names, where @set has their bit.
 * Strings are borrowed during the call. */
struct container_update {
    unsigned set; /* of enum container_update_field */
    int64_t cpu_milli;
    int64_t cpu_shares;
    const char *cpuset; /* "": all */
    int64_t memory_bytes;
    int64_t memswap_bytes;
    int64_t reserved_bytes;
    int64_t pids_max;
    int64_t io_weight;
    const struct container_io *io; /* in the place of all there were */
    size_t io_n;
};

/* Change the limits of container @id, which may run or not. All or nothing: on failure those of
 * before hold. ERR_CONFLICT when it uses more memory than the new limit; ERR_UNSUPPORTED names the
 * controller that this machine lacks; ERR_INVALID as of container_create(). */
int container_update(struct runtime *rt, const char *id, const struct container_update *update,
                     struct err *err);

/* --- for tests -------------------------------------------------------------------------------- */

/* Write the limits of @to, in those fields that @set names, to the files of @group, whose limits
 * were those of @from. */
int update_group(const struct runtime *rt, const char *group, const struct container_spec *from,
                 const struct container_spec *to, unsigned set, struct err *err);

#endif
