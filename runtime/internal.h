/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of runtime/ share. Not for other rooms.
 */
#ifndef WHERRY_RUNTIME_INTERNAL_H
#define WHERRY_RUNTIME_INTERNAL_H

#include "runtime/cgroup.h"
#include "runtime/runtime.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct index;

enum cgroup_mode {
    CGROUP_V1,     /* controllers on v1 hierarchies, no cgroup2 mount */
    CGROUP_HYBRID, /* controllers on v1, an empty cgroup2 at unified/ */
    CGROUP_V2,
};

struct runtime {
    char *data_dir;
    char *run_dir;
    char *cgroup_parent;
    char *program_dir;
    char **plain_http;    /* NULL-terminated or NULL */
    char *exits_dir;      /* run_dir/exits */
    char *oci_path;       /* absolute */
    char *oci_version;    /* "crun 1.8.1" */
    const char *oci_hide; /* mount it must not see: crun refuses hybrid cgroups; NULL: none */
    enum cgroup_mode cgroup_mode;
    struct cgroup_mount cgroup_mounts[CGROUP_MOUNTS_MAX];
    size_t cgroup_mounts_n;
    char boot_id[40];    /* /proc/sys/kernel/random/boot_id */
    struct index *index; /* images/index.db, thread-safe by its own lock */
    int lock_fd;
};

/* Paths of container @id; the caller frees them. */
char *container_data_dir(const struct runtime *rt, const char *id);
char *container_state_dir(const struct runtime *rt, const char *id);
char *container_group(const struct runtime *rt, const char *id);

/* The number of its latest run that left a trace in this boot (*ret_this_boot) or an earlier one; 0
 * for none. */
int64_t container_last_run(const struct runtime *rt, const char *id, bool *ret_this_boot);

/* True while a shim of it lives. */
bool container_has_shim(const struct runtime *rt, const char *id);

/* Wait until it has no shim, at most @timeout_ms. False if it still has. */
bool container_wait_shim(const struct runtime *rt, const char *id, int timeout_ms);

/* Finish removals and creations that a crash cut short. At the opening of the runtime. */
void container_sweep(struct runtime *rt);

/* Set *@ret_used when a container was made from the image with manifest @digest ("sha256:HEX"). */
int container_image_used(struct runtime *rt, const char *digest, bool *ret_used, struct err *err);

#endif
