/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members - who belongs to the cluster: founding, joining, and raft's configuration.
 *
 * The table of nodes in the store says who is a member. Every member keeps its bus to them (keys
 * pinned, addresses dialled). The leader makes raft's configuration follow it, one change at a
 * time, as shape.h says.
 *
 * Joining: the new machine shows its token and key to any member's bus as a stranger; that member
 * has the leader add it, and answers with the cluster's CA, the node id and where the others are.
 */
#ifndef WHERRY_NODE_MEMBERS_H
#define WHERRY_NODE_MEMBERS_H

#include "node/shape.h"
#include "store/record.h"

struct bus_stranger;
struct change;
struct daemon;
struct err;
struct members;
struct node;

/* The end of founding or joining. err->code 0: done. Borrowed. */
typedef void (*members_cb)(void *arg, const struct err *err);

/* Begin: everything happens on the loop of the daemon. */
struct members *members_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void members_free(struct members *m, void (*on_freed)(void *arg), void *arg);

/* Found a cluster with this machine as node 1. @pool as in struct init_request. */
void members_found(struct daemon *d, const char *pool, members_cb cb, void *arg);

/* Join the cluster of the member at @address; @replace: in the place of a member of our name that
 * is down. */
void members_join(struct daemon *d, const char *address, const char *token, bool replace,
                  members_cb cb, void *arg);

/* Go on with a founding that a crash cut short; called at start. */
void members_resume_founding(struct daemon *d);

/* Before this machine becomes a member in another way: a founding that failed must not be gone on
 * with, nor make the new member's first log. Durable with the next file_write() to the identity. */
int members_forget_founding(const struct daemon *d, struct err *err);

/* A machine asks to join (bus). */
void members_on_stranger(struct daemon *d, struct bus_stranger *stranger,
                         const struct bytes *public_key, const void *data, size_t len);

/* We were told on good authority that we are no member any more. */
void members_on_expelled(struct members *m);

/* True for a leader that was removed, and is on the bus only to hand on: what else it says counts
 * no more. */
bool members_is_locked_out(const struct members *m, int64_t id);

/* The addresses of other members, as last given to the bus. Borrowed until the next change. */
const struct node *members_nodes(const struct members *m, size_t *ret_n);

/* What this member says of itself became another: its row is to follow. */
void members_describe(struct members *m);

/* May @change be proposed, as far as it takes away a member or its log? On the leader. ERR_BUSY
 * while raft's configuration has not followed the one before: two at once could leave it with a
 * majority of members that are no more. One that is let through is waited for. */
int members_check_going(struct members *m, const struct change *change, struct err *err);

/* The table of nodes changed, or we start: give the bus its peers. */
void members_on_change(struct members *m);

/* How every member stands, for shape.h: the rows, and raft's configuration as far as we know it. */
struct standings {
    struct standing *all;
    size_t n;
    struct node *nodes; /* the rows: places in @all are borrowed from them */
    size_t nodes_n;
};
void standings_read(struct daemon *d, struct standings *ret);
void standings_release(struct standings *s);

#endif
