/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile - the node's loop: my tasks in the store against my containers.
 *
 * One agent (agent.h) per task of this node. A change of the tasks, the end of a container (seen by
 * inotify), a finished job or the clock wake the loop; it compares and lets each agent do its next
 * step. After a start it first asks the runtime what is there and adopts it. It acts on its own
 * copy of the state: at once when in touch with a leader, else after a few seconds, so that a node
 * that boots without quorum runs its tasks; what the state does not know is removed only when in
 * touch.
 */
#ifndef WHERRY_NODE_RECONCILE_H
#define WHERRY_NODE_RECONCILE_H

#include "node/agent.h"

struct reconcile;

/* Begin: everything happens on the loop of the daemon. */
struct reconcile *reconcile_new(struct daemon *d);

/* No more steps; jobs that run may end. */
void reconcile_stop(struct reconcile *r);

/* Free, after reconcile_stop() and when no job of it is left. */
void reconcile_free(struct reconcile *r);

/* These tables changed (mask of 1 << enum table). */
void reconcile_on_change(struct reconcile *r, unsigned tables);

/* Go through all agents soon. */
void reconcile_wake(struct reconcile *r);

/* Let the agents know now what the store has. */
void reconcile_read(struct reconcile *r);

/* True when a task of a single service is here, or is to be. */
bool reconcile_has_single(const struct reconcile *r);

/* The lease of this machine was renewed, or a second has passed. */
void reconcile_on_lease(struct reconcile *r);

/* Set the clock to the next thing an agent has to do. */
void reconcile_arm(struct reconcile *r);

/* The networks were applied as of @generation, container @id is connected or could not be. */
void reconcile_on_network(struct reconcile *r, const char *id, int64_t generation, bool connected);

/* True once the agents stand for what is here: containers were looked for, tasks were read. */
bool reconcile_has_read(const struct reconcile *r);

/* All agents, in no order. Borrowed. */
const struct agent *reconcile_agents(const struct reconcile *r);

#endif
