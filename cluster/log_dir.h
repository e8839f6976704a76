/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_dir - libraft's folder is examined by our own reader before libraft loads it.
 *
 * Its files: metadata1, metadata2 (term and vote), FIRST-LAST (closed segments of the log), open-N
 * (segments being written or prepared, then all zeros), snapshot-TERM-INDEX-TIME and its .meta;
 * ours are acknowledged and progress.
 *
 * What a crash or a power cut may leave is brought in order here: an installation of a snapshot or
 * a truncation of the log that was cut short is finished, open segments are closed after their last
 * whole entry, what was prepared is removed. Everything else that is not as it was written is
 * damage: it is said, nothing is changed.
 *
 * Blocking.
 */
#ifndef WHERRY_CLUSTER_LOG_DIR_H
#define WHERRY_CLUSTER_LOG_DIR_H

#include <stdbool.h>
#include <stdint.h>

struct acknowledged;
struct err;

/* What is in a good folder. */
struct log_content {
    bool fresh; /* nothing was ever written */
    uint64_t term, vote;
    uint64_t last_index; /* of the log, or of the snapshot where there is no log behind it */
};

/* Examine DIR and put it in order. @record is what was acknowledged (NULL: a folder of before that
 * was kept), @committed the index known to be committed. ERR_CORRUPT names the file, the place in
 * it and the reason, ERR_UNSUPPORTED a version that this build does not know. */
int log_dir_prepare(const char *dir, const struct acknowledged *record, int64_t committed,
                    struct log_content *ret_content, struct err *err);

#endif
