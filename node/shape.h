/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape - who should vote: the next step from raft's configuration towards the table of nodes.
 *
 * A pure function: how every member stands in, one step out. The leader takes the step and asks
 * again, so a cluster gets from any shape to the one it should have by changes of one member each,
 * and never by one that costs more of the quorum than it must.
 *
 * The shape wanted: the largest odd number of voters up to SHAPE_VOTERS_MAX that the members allow;
 * the rest are standbys, which hold the whole state. A standby takes over for a voter that is down.
 * Witnesses vote only together with more full members than there are of them: a majority always
 * has one that can lead for good. Of the sets of voters that do, the one that is spread best over
 * the values of the label chosen for it, then the one with the fewest witnesses. A better set is
 * reached one voter at a time: the new one votes before the old one stops to.
 *
 * A witness that leads hands leadership on before it does anything else.
 */
#ifndef WHERRY_NODE_SHAPE_H
#define WHERRY_NODE_SHAPE_H

#include "cluster/consensus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHAPE_VOTERS_MAX = 5,
};

/* A member as raft and the table of nodes see it. */
struct standing {
    int64_t id;
    bool in_store;     /* it has a row */
    bool up;           /* the row says so */
    bool witness;      /* likewise */
    bool sulks;        /* could not get a role a while ago: not to be promoted now */
    const char *place; /* its value of the label that voters are spread over, "" or NULL: none */
    bool in_raft;
    enum consensus_role role; /* when @in_raft */
};

enum shape_step_kind {
    SHAPE_STAY,
    SHAPE_ADD,      /* take @id into raft's configuration, as a spare */
    SHAPE_REMOVE,   /* take @id out of it */
    SHAPE_ASSIGN,   /* give @id the role @role */
    SHAPE_TRANSFER, /* hand leadership to @id, a voter */
};

struct shape_step {
    enum shape_step_kind kind;
    int64_t id;
    enum consensus_role role;
};

/* The next step for the members @all, as the leader @self takes it. @leaving: the leader is no
 * member any more, and only sees to it that somebody else leads. The order of @all decides nothing
 * but ties. */
struct shape_step shape_next(const struct standing *all, size_t n, int64_t self, bool leaving);

/* Whom the leader @self hands leadership to when it stops: a voter, no witness, the next by id
 * after
 * @last that is up, or when there is none such the first one at all; 0: nobody. */
int64_t shape_heir(const struct standing *all, size_t n, int64_t self, int64_t last);

/* How many voters the members of @all, those with a row, should have. */
size_t shape_target(const struct standing *all, size_t n);

/* What a cluster can lose: counted over those of @all that vote. */
struct shape_strength {
    size_t voters;
    size_t up;      /* of these; @self counts as up */
    size_t quorum;  /* how many must be up for a change */
    size_t losable; /* how many more may go down before changes stop; 0 too when they have */
};

/* Count. @self may be 0: nobody counts as up who is not. */
struct shape_strength shape_strength(const struct standing *all, size_t n, int64_t self);

/* What would be left once @gone had left the cluster, or were down, and the others had taken the
 * shape they can: voters that are up take the places of those that are not. */
struct shape_strength shape_without(const struct standing *all, size_t n, int64_t self,
                                    int64_t gone);

#endif
