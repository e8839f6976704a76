/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_log - read-only views of libraft's log in memory.
 *
 * struct raft_log is public but its functions are not exported. Entries are a ring; index i stands
 * at (i - 1 - offset) places behind front. The entry of the last snapshot may be gone from the
 * ring, its term is kept aside.
 */
#ifndef WHERRY_CLUSTER_RAFT_LOG_H
#define WHERRY_CLUSTER_RAFT_LOG_H

#include <raft.h>

/* Entries in the ring. */
static inline size_t raft_log_count(const struct raft_log *log)
{
    return log->front <= log->back ? log->back - log->front : log->size - log->front + log->back;
}

/* The entry at @index, NULL when it is not there. Borrowed until raft runs again. */
static inline const struct raft_entry *raft_log_get(const struct raft_log *log, raft_index index)
{
    if (index <= log->offset || index > log->offset + raft_log_count(log))
        return NULL;
    return &log->entries[(log->front + (size_t)(index - 1 - log->offset)) % log->size];
}

/* The term of @index, 0 when it is not known. */
static inline raft_term raft_log_term(const struct raft_log *log, raft_index index)
{
    if (index != 0 && index == log->snapshot.last_index)
        return log->snapshot.last_term;
    const struct raft_entry *entry = raft_log_get(log, index);
    return entry ? entry->term : 0;
}

#endif
