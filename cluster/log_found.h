/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_found - libraft's folder for the first member of a cluster that begins with a state.
 *
 * It looks as one does in which a snapshot was installed: term 1, no log, a snapshot in which this
 * member is the only voter. Blocking.
 */
#ifndef WHERRY_CLUSTER_LOG_FOUND_H
#define WHERRY_CLUSTER_LOG_FOUND_H

#include <stddef.h>
#include <stdint.h>

struct err;

/* Make DIR, which must not be there, with the state of @len bytes as it is at @index, for member
 * @id. Durable when it returns 0; when it fails DIR may be half made. */
int log_found(const char *dir, int64_t id, int64_t index, const void *state, size_t len,
              struct err *err);

#endif
