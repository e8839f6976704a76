/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of runtime/ share. Not for other rooms.
 */
#ifndef WHERRY_RUNTIME_INTERNAL_H
#define WHERRY_RUNTIME_INTERNAL_H

#include "runtime/runtime.h"

#include <stdbool.h>
#include <sys/types.h>

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
    char *exits_dir;      /* run_dir/exits */
    char *oci_path;       /* absolute */
    char *oci_version;    /* "crun 1.8.1" */
    bool oci_hide_unified; /* run it where cgroup2 is not mounted: crun refuses hybrid mode */
    enum cgroup_mode cgroup_mode;
    char boot_id[40];     /* /proc/sys/kernel/random/boot_id */
    struct index *index;  /* images/index.db, thread-safe by its own lock */
    int lock_fd;
};

#endif
