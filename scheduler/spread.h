/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread - as many tasks of a service for each value of a label.
 *
 * Labels are levels, the first counts most: within a value of the first, tasks are spread over the
 * values of the second, as in swarmkit's placement preferences. Nodes without the label are a group
 * too.
 */
#ifndef WHERRY_SCHEDULER_SPREAD_H
#define WHERRY_SCHEDULER_SPREAD_H

#include "scheduler/ledger.h"

struct spread {
    size_t levels; /* 0: none is asked for */
    size_t nodes_n;
    size_t *groups;  /* of each node, level by level */
    int64_t *counts; /* tasks of the service in focus, by group */
};

/* Group the nodes of @ledger, whose pages are set for a service of @spec. */
void spread_init(struct spread *spread, const struct ledger *ledger, const struct spec *spec);

/* Free the memory. */
void spread_release(struct spread *spread);

/* Below 0 when the node at place @a has fewer tasks around it than the one at @b, 0: as many. */
int spread_compare(const struct spread *spread, size_t a, size_t b);

/* The node at @place has @n tasks more. */
void spread_add(struct spread *spread, size_t place, int64_t n);

#endif
