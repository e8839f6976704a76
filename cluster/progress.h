/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress - the index known to be committed, kept in a small file.
 *
 * libraft forgets its commit index when it stops: a lone member of three that starts again would
 * apply nothing of its log until it finds a majority. This file remembers how far the log was known
 * to be committed. It is never ahead of the log on disk, and may be behind it.
 *
 * It is text, "wherry-progress 1 INDEX SHA256\n", the hash being of what comes before it, and is
 * replaced durably. Blocking; any thread.
 */
#ifndef WHERRY_CLUSTER_PROGRESS_H
#define WHERRY_CLUSTER_PROGRESS_H

#include <stdint.h>

struct err;

/* Read DIR/progress. 0 for a missing file. ERR_CORRUPT for a damaged one, ERR_UNSUPPORTED for an
 * unknown version; *@ret_index is untouched then. */
int progress_load(const char *dir, int64_t *ret_index, struct err *err);

/* Replace DIR/progress. */
int progress_save(const char *dir, int64_t index, struct err *err);

#endif
