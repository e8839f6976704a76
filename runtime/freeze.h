/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze - stop a container's processes where they are, and let them go on.
 *
 * By the kernel's freezer of control groups: version 1's freezer.state, version 2's cgroup.freeze
 * (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst). The processes notice
 * nothing. Nothing is kept but in the kernel, so a daemon that starts anew finds a paused container
 * paused. Every function blocks; any thread.
 */
#ifndef WHERRY_RUNTIME_FREEZE_H
#define WHERRY_RUNTIME_FREEZE_H

#include <stdbool.h>

struct err;
struct runtime;

/* Freeze all processes of a running container. Fine when it is paused. ERR_NOTFOUND when it does
 * not run; ERR_TIMEOUT when its processes cannot be frozen within 10 s: then none is. */
int container_pause(struct runtime *rt, const char *id, struct err *err);

/* Let them go on. Fine when it is not paused. ERR_NOTFOUND when it does not run. */
int container_resume(struct runtime *rt, const char *id, struct err *err);

/* --- for the other files of runtime/ ---------------------------------------------------------- */

/* True when @group, a container's control group, is frozen or about to be. */
bool freeze_is_on(const struct runtime *rt, const char *group);

/* Freeze @group and wait until it is; on failure it is thawed. */
int freeze_group(const struct runtime *rt, const char *group, struct err *err);

/* Thaw @group. Fine when it is not there. */
void freeze_thaw(const struct runtime *rt, const char *group);

#endif
