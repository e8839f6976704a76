/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - the slots of one service, and what is in each.
 *
 * A slot is a place to be filled by exactly one task: 1 to replicas, or, of a global service, one
 * per node with the node's id. States and who moves them on:
 *
 *     MISSING ──fill──► PLACED        a task is being created
 *        │ └───fill───► UNPLACED      it found no node, or waits for a dependency
 *        ▲
 *     LOST ────fill──► PLACED         its node is down: ended there, created elsewhere
 *        └─────fill──► CLOSED         … or left, so that it goes on if the node returns
 *     HELD ──update──► ENDING         asked to stop; the slot is MISSING in a later plan
 *        └───update──► MISSING        was over already
 *     CLOSED                          nothing to do: see slots_init()
 */
#ifndef WHERRY_SCHEDULER_SLOTS_H
#define WHERRY_SCHEDULER_SLOTS_H

#include "scheduler/place.h"

enum {
    SERVICE_SLOTS_MAX = 65536, /* replicas asked for beyond are not looked at */
};

enum slot_state {
    SLOT_CLOSED,
    SLOT_MISSING,
    SLOT_UNPLACED,
    SLOT_PLACED,
    SLOT_ENDING,
    SLOT_LOST,
    SLOT_HELD,
};

struct slot {
    int64_t id;
    enum slot_state state;
    const struct task *task;      /* the one meant to run; HELD, LOST and some CLOSED have one */
    const struct node *node;      /* where that is */
    const struct task *successor; /* of a task that is to go: on its way up beside it */
    const struct task *held;      /* what is to follow: gets ready, and waits to be released */
    bool wanted;
    const struct task *lease_of; /* of a single service: it may still run on a node that is lost */
    bool blocked;                /* a former task has yet to stop */
};

struct slots {
    struct planner *planner;
    const struct service_tasks *service;
    struct placement *placement;
    struct slot *list;
    size_t n;
};

/* Sort the tasks of @service, which is not removed, into its slots. Writes the steps that need no
 * choice: what is over is forgotten, what is surplus, doubled or of a job's former revision is
 * ended. Closed are slots that wait for their node (down or paused, of a global service), and those
 * of a job that completed or gave up. @placement must outlive @slots. */
void slots_init(struct slots *slots, struct planner *planner, const struct service_tasks *service,
                struct placement *placement);

/* Free the memory. */
void slots_release(struct slots *slots);

/* True when the task of @slot, which is HELD and leaves its node, should serve until a successor
 * does. */
bool slots_overlap(const struct slots *slots, const struct slot *slot);

/* Create a successor beside the task of @slot, held or not; where task.move_to says if it does.
 * Returns false when no node fits. */
bool slots_succeed(struct slots *slots, struct slot *slot, bool hold);

/* True when @task, on @node, has to leave it: of a replicated service or a job. */
bool slots_is_leaving(const struct slots *slots, const struct task *task, const struct node *node);

/* Why it does, to @out. */
void slots_why_leaving(const struct task *task, const struct node *node, char *out, size_t size);

/* True when two tasks of the service cannot run on one node, or never at once. */
bool slots_exclude(const struct slots *slots);

/* End the task of @slot, which is HELD, for the reason given. */
void slots_end(struct slots *slots, struct slot *slot, const char *reason);

/* True when only one node will do for @slot, to *@ret_node_id: of a global service, and beside the
 * host of a companion, once it is there. */
bool slots_node_of(const struct slots *slots, const struct slot *slot, int64_t *ret_node_id);

/* True when @slot, of a companion, has no host to be beside. */
bool slots_lacks_host(const struct slots *slots, const struct slot *slot);

/* The service they are of. */
const struct service *slots_service(const struct slots *slots);

/* True when they are the nodes' (of a global service), not numbered. */
bool slots_are_nodes(const struct slots *slots);

#endif
