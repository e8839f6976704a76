/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_internal - what the files that examine libraft's folder share.
 *
 *     log_dir.c    the order of things, and what the end of the log must be
 *     log_files.c  the list of files; metadata; the newest snapshot
 *     segment.c    one file of the log
 */
#ifndef WHERRY_CLUSTER_LOG_INTERNAL_H
#define WHERRY_CLUSTER_LOG_INTERNAL_H

#include "cluster/log_dir.h"

#include <stddef.h>

struct log_segment {
    uint64_t first, last; /* of a closed one */
    uint64_t counter;     /* of an open one */
    char name[64];
};

struct log_files {
    const char *dir;
    bool metadata; /* one of them is there */
    struct log_segment *closed;
    size_t closed_n;
    struct log_segment *open; /* by counter */
    size_t open_n;
    /* The newest snapshot that has both files. */
    char snapshot[128]; /* "": none */
    uint64_t term, index, time;
};

/* List DIR: closed segments by first and last index, open ones by counter. */
int log_files_list(const char *dir, struct log_files *ret_files, struct err *err);
void log_files_release(struct log_files *files);

/* Read and check both metadata files. Zeros when there are none. */
int log_files_metadata(const struct log_files *files, const struct acknowledged *record,
                       uint64_t *ret_term, uint64_t *ret_vote, struct err *err);

/* Check both files of the newest snapshot. */
int log_files_snapshot(const struct log_files *files, struct err *err);

#endif
