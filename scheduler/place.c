/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/place.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* True when @a is a better place than @b. A total order: no two nodes have one id. */
static bool better(const struct node_ledger *a, const struct node_ledger *b)
{
    if (a->own != b->own)
        return a->own < b->own;
    if (a->failing != b->failing)
        return b->failing;
    if (a->used != b->used)
        return a->used < b->used;
    if (a->tasks != b->tasks)
        return a->tasks < b->tasks;
    return a->node->id < b->node->id;
}

/* Move the page at @at down until none below it is better. */
static void sift_down(struct placement *placement, size_t at)
{
    struct node_ledger **heap = placement->heap;
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < placement->heap_n; child++)
            if (better(heap[child], heap[best]))
                best = child;
        if (best == at)
            return;
        struct node_ledger *page = heap[at];
        heap[at] = heap[best];
        heap[best] = page;
        at = best;
    }
}

/* Ask every node. */
static void filter_all(struct placement *placement)
{
    struct ledger *ledger = &placement->planner->ledger;
    memset(placement->refused, 0, sizeof(placement->refused));
    placement->heap_n = 0;
    for (size_t i = 0; i < ledger->n; i++) {
        enum refusal refusal = filter_node(&placement->demand, &ledger->nodes[i]);
        if (refusal == REFUSED_MAX)
            placement->heap[placement->heap_n++] = &ledger->nodes[i];
        else
            placement->refused[refusal]++;
    }
    for (size_t i = placement->heap_n / 2; i-- > 0;)
        sift_down(placement, i);
}

/* Filter the nodes unless that is done. */
static void prepare(struct placement *placement)
{
    if (placement->filtered)
        return;
    struct planner *planner = placement->planner;
    ledger_focus(&planner->ledger, &planner->lookup, placement->service);
    placement->heap = mem_alloc(planner->ledger.n, sizeof(struct node_ledger *));
    filter_all(placement);
    placement->filtered = true;
}

void placement_init(struct placement *placement, struct planner *planner,
                    const struct service_tasks *service)
{
    check(service->service);
    *placement = (struct placement){.planner = planner, .service = service};
    demand_init(&placement->demand, &planner->lookup, &service->service->spec);
}

void placement_release(struct placement *placement)
{
    free(placement->heap);
    *placement = (struct placement){0};
}

bool placement_take(struct placement *placement, int64_t *ret_node_id)
{
    prepare(placement);
    if (placement->heap_n == 0)
        return false;
    struct node_ledger *page = placement->heap[0];
    ledger_take(page, placement->demand.spec);
    *ret_node_id = page->node->id;
    if (placement->demand.homeless) { /* from now on only this node will do */
        demand_settle(&placement->demand, &placement->planner->lookup, page->node->id);
        filter_all(placement);
        return true;
    }
    enum refusal refusal = filter_room(&placement->demand, page);
    if (refusal != REFUSED_MAX) {
        placement->refused[refusal]++;
        placement->heap[0] = placement->heap[--placement->heap_n];
    }
    sift_down(placement, 0);
    return true;
}

bool placement_after(struct placement *placement, const struct task *task,
                     int64_t refused[REFUSED_MAX])
{
    prepare(placement);
    if (placement->heap_n > 0)
        return true;
    memcpy(refused, placement->refused, sizeof(placement->refused));
    size_t place;
    const struct lookup *lookup = &placement->planner->lookup;
    if (task_is_terminal(task->state) || !lookup_node(lookup, task->node_id, &place))
        return false;
    struct node_ledger page = placement->planner->ledger.nodes[place];
    refused[filter_node(&placement->demand, &page)]--;
    ledger_return(&page, lookup_spec(lookup, placement->service->service, task));
    enum refusal refusal = filter_node(&placement->demand, &page);
    if (refusal == REFUSED_MAX)
        return true;
    refused[refusal]++;
    return false;
}
