/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - what is left on each node, and what runs there.
 *
 * A task holds its reservation from the moment it is placed until its node says it is over, also
 * while it is being ended. Tasks that the plan at hand places are entered as it goes, so that the
 * replicas of one plan see each other.
 */
#ifndef WHERRY_SCHEDULER_LEDGER_H
#define WHERRY_SCHEDULER_LEDGER_H

#include "scheduler/lookup.h"

enum {
    FAILING_MS = 10 * 60 * 1000, /* how long a node ranks last for a service that failed there */
};

/* The page of one node. */
struct node_ledger {
    const struct node *node;
    int64_t cpu_left;             /* unreserved thousandths; below 0 when capacity shrank */
    int64_t memory_left;          /* unreserved bytes; likewise */
    int64_t taken[RESOURCES_MAX]; /* of each of the node's resources */
    int64_t used;                 /* reserved share of CPU plus that of memory, in millionths */
    int64_t tasks;                /* that are not over */
    int64_t own;                  /* likewise, of the service in focus */
    int64_t lasting;              /* of those, that nothing is to end and nothing follows yet */
    bool failing;                 /* the service in focus failed here lately */
};

struct ledger {
    struct node_ledger *nodes; /* in the view's order */
    size_t n;
};

/* Enter all tasks of the view. @lookup must outlive @ledger. */
void ledger_init(struct ledger *ledger, const struct lookup *lookup);

/* Free the memory. */
void ledger_release(struct ledger *ledger);

/* Set own, lasting and failing of every page for @service. */
void ledger_focus(struct ledger *ledger, const struct lookup *lookup,
                  const struct service_tasks *service);

/* How many of @name are left on the node of @page; 0 when it has none. */
int64_t ledger_resource_left(const struct node_ledger *page, const char *name);

/* Enter a task of @spec, of the service in focus. */
void ledger_take(struct node_ledger *page, const struct spec *spec);

/* Strike a task of @spec out again, of the service in focus. */
void ledger_return(struct node_ledger *page, const struct spec *spec);

#endif
