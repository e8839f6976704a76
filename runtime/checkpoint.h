/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint - write a container's processes to disk, by the OCI runtime and CRIU.
 *
 * Best effort: whether it can be done is up to the kernel, to CRIU, and to the OCI runtime being
 * built with it; where it cannot the container runs on as before, and the error has their words. A
 * checkpoint is not started again by us yet: the OCI runtime's "restore" can be used by hand.
 * Blocking; any thread.
 */
#ifndef WHERRY_RUNTIME_CHECKPOINT_H
#define WHERRY_RUNTIME_CHECKPOINT_H

#include <stdbool.h>

struct err;
struct runtime;

/* Write a checkpoint of the running container @id, called @name ([a-z0-9-]), to
 * containers/ID/checkpoints/NAME. Without @leave_running its run ends with that. ERR_UNSUPPORTED
 * with the OCI runtime's reason. */
int container_checkpoint(struct runtime *rt, const char *id, const char *name, bool leave_running,
                         struct err *err);

#endif
