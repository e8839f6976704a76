/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_dir - a look into libraft's folder before libraft loads it.
 *
 * Its files: metadata1, metadata2 (term and vote), FIRST-LAST (closed segments of the log), open-N
 * (segments being written or prepared, then all zeros), snapshot-TERM-INDEX-TIME and its .meta.
 *
 * Blocking.
 */
#ifndef WHERRY_CLUSTER_LOG_DIR_H
#define WHERRY_CLUSTER_LOG_DIR_H

struct err;

/* Refuse a folder whose term and vote are gone (ERR_CORRUPT), which libraft would start with as if
 * it had never voted. Finish an installation of a snapshot that was cut short after the snapshot
 * was durable and before the log it replaces was removed: libraft would refuse it for damaged. */
int log_dir_prepare(const char *dir, struct err *err);

#endif
