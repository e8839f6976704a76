/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle - the config.json of a container (OCI runtime specification 1.0).
 *
 * Pure: what had to be looked up on the machine is in struct bundle.
 */
#ifndef WHERRY_RUNTIME_BUNDLE_H
#define WHERRY_RUNTIME_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct container_spec;
struct err;
struct image;
struct rootfs_user;

struct bundle {
    const struct container_spec *spec;
    const struct image *image;
    const struct rootfs_user *user;
    const char *rootfs;  /* where the root will be attached */
    const char *etc_dir; /* holds hostname, hosts and resolv.conf */
    const char *cgroup;  /* its control group, absolute */
    bool cgroup_v2;      /* version 2 alone: a cgroup namespace of its own */
    bool has_memory;     /* which limits this machine can set */
    bool has_swap;
    bool has_cpu;
    bool has_pids;
    int64_t nofile_hard; /* our own hard limit: without CAP_SYS_RESOURCE it cannot be raised */
    int oom_score_adj;   /* our own, if above 0: it cannot be lowered */
};

/* Append the config to @out. ERR_INVALID when there is no command, ERR_UNSUPPORTED for a limit that
 * this machine cannot set. */
int bundle_write(const struct bundle *bundle, struct buf *out, struct err *err);

/* The folder the program starts in. Borrowed from spec or image. */
const char *bundle_working_dir(const struct container_spec *spec, const struct image *image);

#endif
