/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect - all that is known of a container, as one JSON object for people and scripts.
 *
 *     id, name, image_digest, state {...}, spec {...}, cgroup, pids [...], mounts [...], log_path,
 *     data_dir, state_dir, layers [...], oci_runtime
 *
 * "spec" is the record of runtime/container_record.h; "mounts" is what it has mounted now
 * (/proc/PID/mountinfo), nothing when it does not run. Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_INSPECT_H
#define WHERRY_RUNTIME_INSPECT_H

struct buf;
struct container_state;
struct err;
struct runtime;

/* Append the object of container @id to @out. @name is what the caller calls it; "" for nothing. */
int container_inspect(struct runtime *rt, const char *id, const char *name, struct buf *out,
                      struct err *err);

/* The image that container @id was made from, as it was named; NULL when there is none. The caller
 * frees it. */
char *container_image_name(struct runtime *rt, const char *id);

/* The number of a signal: "HUP", "SIGHUP", "1", "RTMIN+3"; 0: there is none of that name. */
int container_signal_number(const char *name);

/* "created", "running", "paused", "exited" or "lost". */
const char *container_state_name(const struct container_state *state);

#endif
