/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle - the config.json of a container (OCI runtime specification 1.0).
 *
 * Pure: what had to be looked up on the machine is in struct bundle. bundle.c has the whole,
 * bundle_process.c, bundle_mounts.c and bundle_linux.c its parts.
 */
#ifndef WHERRY_RUNTIME_BUNDLE_H
#define WHERRY_RUNTIME_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct container_spec;
struct device_set;
struct err;
struct image;
struct json_t;
struct machine;
struct rootfs_user;

struct bundle {
    const struct container_spec *spec;
    const struct image *image;
    const struct rootfs_user *user;
    const struct machine *machine;
    const struct device_set *devices;
    struct json_t *seccomp;      /* the config's "seccomp", borrowed; NULL: no filter */
    const char *seccomp_program; /* the same as crun takes it (seccomp_bpf.h), or NULL */
    const char *rootfs;          /* where the root will be attached */
    const char *etc_dir;         /* holds hostname, hosts and resolv.conf */
    const char *init;            /* the program that is process 1 when the spec says so */
    uint32_t userns_base; /* with spec->userns the range's first id; @rootfs is then a tree of
                             userns.h */
    const char *cgroup;   /* its control group, absolute */
};

/* Append the config to @out. ERR_INVALID when there is no command, ERR_UNSUPPORTED for what this
 * machine cannot do. */
int bundle_write(const struct bundle *bundle, struct buf *out, struct err *err);

/* The folder the program starts in. Borrowed from spec or image. */
const char *bundle_working_dir(const struct container_spec *spec, const struct image *image);

#endif
