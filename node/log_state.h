/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_state - which raft log this member has: the file DATA/identity/raft.
 *
 * A log belongs to one raft id. A member that lost its log goes on under its node id with an empty
 * log and another raft id (cluster/raft_ids.c), and a folder that is gone must not be taken for one
 * that was never there. So this file says, outside of the folder, what has to be in it:
 *
 *     text: "wherry-raft 1 CLUSTER NODE RAFT STATE\n"
 *
 * STATE is "new" (RAFT was given out, its log may not be there yet), "kept" (it is), or "repair"
 * (an operator asked for another one). Replaced durably. Blocking, small.
 */
#ifndef WHERRY_NODE_LOG_STATE_H
#define WHERRY_NODE_LOG_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct identity;

enum log_state_kind {
    LOG_NEW,
    LOG_KEPT,
    LOG_REPAIR,
};

struct log_state {
    int64_t raft_id;
    enum log_state_kind kind;
    bool written; /* the file is there and of this membership */
};

/* Read DATA/identity/raft. Where there is none, or it is of another membership: the node's own id,
 * LOG_NEW. ERR_CORRUPT, ERR_UNSUPPORTED. */
int log_state_load(const char *data_dir, const struct identity *identity,
                   struct log_state *ret_state, struct err *err);

/* Replace it. */
int log_state_save(const char *data_dir, const struct identity *identity, int64_t raft_id,
                   enum log_state_kind kind, struct err *err);

/* Set the folder DATA/raft aside as raft.damaged-N, of which the two newest are kept. *@ret_aside
 * is its path, to be freed; NULL when there was no folder. */
int log_state_set_aside(const char *data_dir, char **ret_aside, struct err *err);

/* Remove the folders that were set aside: this machine leaves its cluster. */
int log_state_forget(const char *data_dir, struct err *err);

#endif
