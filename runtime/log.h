/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - read what a container wrote.
 *
 * The shim writes the CRI text format (Kubernetes CRI, "logging.md"): RFC 3339 time with
 * nanoseconds, "stdout" or "stderr", "F" or "P" for a partial line, the text. One file a run,
 * containers/ID/log/RUN.log, rotated to RUN.log.1, .2; the last 5 runs are kept.
 */
#ifndef WHERRY_RUNTIME_LOG_H
#define WHERRY_RUNTIME_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct runtime;

/* Where a reader is. Zeroed: at the beginning of the oldest run kept. */
struct log_cursor {
    int64_t run;
    int64_t file;   /* inode of the file being read: rotation renames it */
    int64_t offset; /* bytes of it that were read */
};

/* Append whole lines in CRI format, at most @max_bytes, after @cursor and move it. *@ret_more is
 * true when there is more to read now. Nothing new is no error. ERR_NOTFOUND without container. */
int log_read_cri(struct runtime *rt, const char *id, struct log_cursor *cursor, size_t max_bytes,
                 struct buf *out, bool *ret_more, struct err *err);

/* Place @cursor so that reading yields the last @lines lines of all runs kept. */
int log_seek_tail(struct runtime *rt, const char *id, int64_t lines, struct log_cursor *cursor,
                  struct err *err);

#endif
