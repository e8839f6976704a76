/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of runtime/ share. Not for other rooms.
 */
#ifndef WHERRY_RUNTIME_INTERNAL_H
#define WHERRY_RUNTIME_INTERNAL_H

#include "runtime/cgroup.h"
#include "runtime/peers.h"
#include "runtime/registry.h"
#include "runtime/runtime.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct index;
struct oci_list;
struct seccomp_cache;
struct seccomp_profile;

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
    char **plain_http;              /* NULL-terminated or NULL */
    registry_access_cb on_registry; /* how registries are reached; NULL: anonymously */
    void *on_registry_arg;
    int registry_stall_s; /* without bytes so long a registry stalls; 0: the usual */
    char *exits_dir;      /* run_dir/exits */
    struct oci_list *oci; /* the OCI runtimes (oci.h) */
    enum cgroup_mode cgroup_mode;
    struct cgroup_mount cgroup_mounts[CGROUP_MOUNTS_MAX];
    size_t cgroup_mounts_n;
    struct seccomp_cache *seccomp_cache;
    struct seccomp_profile *seccomp; /* the default for containers, NULL: the built-in one */
    uint32_t userns_base;            /* first id of the ranges for user namespaces (idmap.h) */
    char boot_id[40];                /* /proc/sys/kernel/random/boot_id */
    struct index *index;             /* images/index.db, thread-safe by its own lock */
    int lock_fd;
    struct runtime_peers peers; /* zero: none */
};

/* Paths of container @id; the caller frees them. */
char *container_data_dir(const struct runtime *rt, const char *id);
char *container_state_dir(const struct runtime *rt, const char *id);
char *container_group(const struct runtime *rt, const char *id);

/* The number of its latest run that left a trace in this boot (*ret_this_boot) or an earlier one; 0
 * for none. */
int64_t container_last_run(const struct runtime *rt, const char *id, bool *ret_this_boot);

/* Say that a run of container @id starts until container_end_start(), also to other threads and
 * processes; a process that dies has ended it. Returns a descriptor for that, or a code. */
int container_begin_start(const struct runtime *rt, const char *id, struct err *err);
void container_end_start(int fd);

/* True while a shim of it lives. */
bool container_has_shim(const struct runtime *rt, const char *id);

/* Wait until it has no shim, at most @timeout_ms. False if it still has. */
bool container_wait_shim(const struct runtime *rt, const char *id, int timeout_ms);

/* Finish removals and creations that a crash cut short. At the opening of the runtime. */
void container_sweep(struct runtime *rt);

/* Set *@ret_used when a container was made from the image with manifest @digest ("sha256:HEX"). */
int container_image_used(struct runtime *rt, const char *digest, bool *ret_used, struct err *err);

#endif
