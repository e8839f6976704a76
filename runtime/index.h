/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index - the durable table of what images and unpacked layers this machine has.
 *
 * SQLite at images/index.db (WAL, synchronous=FULL). A row is written only after the content it
 * speaks of was synced. Any thread; calls are serialized by a lock inside.
 */
#ifndef WHERRY_RUNTIME_INDEX_H
#define WHERRY_RUNTIME_INDEX_H

struct err;
struct index;

/* Open or make the index. ERR_CORRUPT names the file when it is damaged. */
int index_open(const char *path, struct index **ret_index, struct err *err);

/* Close and free. NULL is fine. */
void index_close(struct index *index);

#endif
