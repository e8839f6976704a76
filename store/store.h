/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - the replicated state of the cluster on this member.
 *
 * The state is an SQLite database in memory (vfs "memdb"); the raft log and snapshots are the only
 * durable copy. store_apply() is the one thing that changes it, and it is deterministic: the same
 * batches in the same order give the same rows, results and digest on every member. Each change in
 * a batch is a savepoint of its own: a refused one leaves the others. Running out of memory in
 * apply aborts.
 *
 *     store_new → (store_restore | store_apply)* , reads in between → store_free
 *
 * One thread: the loop's. Reads copy; what they return is the caller's.
 */
#ifndef WHERRY_STORE_STORE_H
#define WHERRY_STORE_STORE_H

#include "store/change.h"

struct store;

/* The kinds of rows. */
enum table {
    TABLE_CLUSTER,
    TABLE_STACK,
    TABLE_SERVICE,
    TABLE_REVISION,
    TABLE_TASK,
    TABLE_NODE,
    TABLE_NETWORK,
    TABLE_VOLUME,
    TABLE_TOKEN,
    TABLE_EVENT,
    TABLE_REGISTRY,
    TABLE_JOB_RUN,
    TABLE_CONTENT,
    TABLE_DNS_RECORD,
    TABLE_MAX
};

/* Searched columns besides id and name. */
enum column {
    BY_NONE,       /* all rows */
    BY_STACK_ID,   /* services, networks, volumes */
    BY_SERVICE_ID, /* tasks, revisions, runs of jobs */
    BY_NODE_ID,    /* tasks */
};

/* An empty state, index 0. */
struct store *store_new(void);

/* Free it. NULL is fine. */
void store_free(struct store *store);

/* Apply the batch of the entry at @index, which must be greater than store_index(). @ret_results
 * gets one result per change (the caller frees the array). Fails, without having changed anything,
 * only for a batch that is damaged or of an unknown kind: the member must stop then. A change whose
 * request id was already applied gets the result it had then; one that began before the oldest
 * request still known is refused with ERR_UNKNOWN, for it may have been applied. */
int store_apply(struct store *store, int64_t index, const void *batch, size_t len,
                struct change_result **ret_results, size_t *ret_n, struct err *err);

/* Note that the entry at @index (a barrier or configuration change) was passed. */
void store_advance(struct store *store, int64_t index);

/* Index of the last entry applied. */
int64_t store_index(const struct store *store);

/* The state's own time: max of all batches' now_ms. */
int64_t store_time_ms(const struct store *store);

/* Get row @id of @table into @ret_row (uninitialized memory of the table's record type).
 * ERR_NOTFOUND. */
int store_get(struct store *store, enum table table, int64_t id, void *ret_row);

/* Get the row named @name (nodes, stacks, networks, volumes by name; services by "stack.name").
 * ERR_NOTFOUND. */
int store_find(struct store *store, enum table table, const char *name, void *ret_row);

/* All rows whose @column is @value, by id; free with record_free_list(store_table_type(table)…).
 * *@ret_rows is NULL when there are none. */
void store_list(struct store *store, enum table table, enum column column, int64_t value,
                void *ret_rows, size_t *ret_n);

/* Events with id > @after, at most @max, by id. *@ret_lost is true when older ones were dropped. */
void store_events(struct store *store, int64_t after, size_t max, struct event **ret_events,
                  size_t *ret_n, bool *ret_lost);

/* Number of rows in @table. */
int64_t store_count(struct store *store, enum table table);

/* The spec that @task runs: its service's, or the revision kept for it. ERR_NOTFOUND. */
int store_task_spec(struct store *store, const struct task *task, struct spec *ret_spec);

/* The result of an earlier change with this request id. False when it is not (or no longer) known.
 */
bool store_request(struct store *store, const unsigned char id[REQUEST_ID_BYTES],
                   struct change_result *ret_result);

/* The record type of a table's rows. */
const struct record_type *store_table_type(enum table table);

/* Call @cb after every batch that changed something, with a mask of 1 << enum table, and with all
 * bits after a restore. One watcher at most @max 8; never removed. It must not apply. */
typedef void (*store_watch_cb)(void *arg, unsigned tables);
void store_watch(struct store *store, store_watch_cb cb, void *arg);

/* Copy the whole state as bytes (a memcpy: milliseconds for 100,000 rows). */
void store_snapshot(struct store *store, struct buf *out);

/* Replace the whole state by what store_snapshot() gave, here or on another member. ERR_CORRUPT
 * leaves the old state: for what is no sound database, has other tables, or rows that do not decode
 * or disagree with their columns. That a value is the one once written only the caller's hash of
 * the bytes can tell. */
int store_restore(struct store *store, const void *data, size_t len, struct err *err);

/* As store_restore() for bytes that a member's own hash proves to be what its store_snapshot()
 * gave: tables, numbers and level are checked, the rows are not. A tenth of the time. */
int store_restore_trusted(struct store *store, const void *data, size_t len, struct err *err);

/* SHA-256 over all rows of all tables in order: equal on members at the same index. A table that a
 * later release added counts while it has rows. */
void store_digest(struct store *store, unsigned char out[32]);

#endif
