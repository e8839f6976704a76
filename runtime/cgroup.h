/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup - the control groups of containers and shims, on version 1, 2 and both at once.
 *
 * A group is named by its path below the hierarchy's mount point, "/wherry/container/t7". The OCI
 * runtime makes a container's groups and sets its limits; we make their parents, empty them and
 * take them away.
 *
 *     PARENT/shim            all shims: stopping the daemon's unit does not reach them
 *     PARENT/container/ID    one per container; its name stays when only its shim was killed
 */
#ifndef WHERRY_RUNTIME_CGROUP_H
#define WHERRY_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct runtime;

enum {
    CGROUP_MOUNTS_MAX = 16,
};

/* A mounted hierarchy. */
struct cgroup_mount {
    char *path;        /* "/sys/fs/cgroup/memory" */
    char *controllers; /* ",memory," — between commas; version 2: those it offers */
    bool v2;
    size_t delegated; /* version 2: so many bytes of the parent's path name the group that we were
                         started in and may change, 0: the root */
};

/* The leaf below a delegated group that the daemon itself goes to. */
#define CGROUP_LEAF "/daemon"

/* How many bytes of @parent are our own group @own, or the one above it when that is its leaf; 0
 * when @parent is not below it. Pure. */
size_t cgroup_delegated(const char *own, const char *parent);

/* Find the hierarchies and fill rt->cgroup_*. ERR_UNAVAILABLE when there is none. */
int cgroup_probe(struct runtime *rt, struct err *err);

/* Free what cgroup_probe filled in. */
void cgroup_release(struct runtime *rt);

/* True when limits of @controller ("memory", "pids", "cpu") can be set. */
bool cgroup_has(const struct runtime *rt, const char *controller);

/* Path of @file of @group in the hierarchy of @controller, or NULL without one; the caller frees
 * it. */
char *cgroup_file(const struct runtime *rt, const char *controller, const char *group,
                  const char *file);

/* Make @group and its parents on all hierarchies but cpuset, with the controllers passed on below
 * on version 2. Fine when it exists. */
int cgroup_make(const struct runtime *rt, const char *group, struct err *err);

/* Open cgroup.procs of @group on all hierarchies on which it exists. Returns how many. */
size_t cgroup_open_procs(const struct runtime *rt, const char *group,
                         int ret_fds[CGROUP_MOUNTS_MAX]);

/* SIGKILL to every process in and below @group, once. Returns how many there were. With @session
 * only to those of that session. */
size_t cgroup_kill(const struct runtime *rt, const char *group, pid_t session);

/* Kill what is in @group until it is empty, at most @timeout_ms, and remove it on all hierarchies.
 * A missing one is fine. */
int cgroup_clear(const struct runtime *rt, const char *group, int timeout_ms, struct err *err);

/* Remove @group where it is empty; nothing else happens. */
void cgroup_drop(const struct runtime *rt, const char *group);

/* True when process @pid_fd, whose pid is @pid, is in or below @group. */
bool cgroup_contains(const char *group, pid_t pid);

#endif
