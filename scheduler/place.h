/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place - choose nodes for the replicas of one service.
 *
 * The nodes are filtered once; those that fit stand in a heap, the best on top: the one with the
 * fewest tasks of the service, then one where it did not fail lately, then the one with the
 * smallest share reserved, then the fewest tasks, then the lowest id. What spec.spread asks for
 * comes before all of these. Each placement changes only the page of the node it took, so the heap
 * is put right by moving that one down or out.
 *
 *     placement_init → placement_take* → placement_release
 */
#ifndef WHERRY_SCHEDULER_PLACE_H
#define WHERRY_SCHEDULER_PLACE_H

#include "scheduler/filter.h"
#include "scheduler/planner.h"
#include "scheduler/spread.h"

struct placement {
    struct planner *planner;
    const struct service_tasks *service;
    struct demand demand;
    bool filtered;             /* what follows is set: it is made when first asked for */
    struct node_ledger **heap; /* pages of the nodes that fit */
    size_t heap_n;
    struct spread spread; /* when labels are to be spread over, every node is looked at instead */
    int64_t refused[REFUSED_MAX];
};

/* Prepare to place replicas of @service, which must exist. Costs nothing until a node is asked for.
 */
void placement_init(struct placement *placement, struct planner *planner,
                    const struct service_tasks *service);

/* Free the memory. */
void placement_release(struct placement *placement);

/* Take the best node for one more replica and enter it in the ledger. Returns false when none fits.
 */
bool placement_take(struct placement *placement, int64_t *ret_node_id);

/* As placement_take(), for a successor of a task on node @from_id, which is to go: that node counts
 * one task of the service less. With @hold the successor starts only when that task is over, so
 * that this is so for max_per_node too. It stays there if it @may_stay and no node has fewer of the
 * service. */
bool placement_take_after(struct placement *placement, int64_t from_id, bool hold, bool may_stay,
                          int64_t *ret_node_id);

/* Take node @node_id, and no other, for one more replica of a global service or a companion.
 * Returns false when it does not fit, and enters why in @refused. */
bool placement_take_on(struct placement *placement, int64_t node_id, int64_t refused[REFUSED_MAX]);

/* True when a successor of @task would find a node, at least its own, once the task is over. Else
 * @refused says why not. */
bool placement_after(struct placement *placement, const struct task *task,
                     int64_t refused[REFUSED_MAX]);

#endif
