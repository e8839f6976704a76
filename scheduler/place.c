/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/place.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* True when @a is a better place than @b. A total order: no two nodes have one id. */
static bool better(const struct node_ledger *a, const struct node_ledger *b)
{
    if (a->lasting != b->lasting)
        return a->lasting < b->lasting;
    if (a->failing != b->failing)
        return b->failing;
    if (a->used != b->used)
        return a->used < b->used;
    if (a->tasks != b->tasks)
        return a->tasks < b->tasks;
    return a->node->id < b->node->id;
}

/* True when a task that is to follow one on @from, which is as it will be without that one, has no
 * reason to be on @page instead. How busy they are is none: what a plan says is to come true
 * whatever else ends or begins meanwhile, and the image is there already. */
static bool stays_on(const struct node_ledger *from, const struct node_ledger *page)
{
    return from->lasting <= page->lasting && (!from->failing || page->failing);
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

/* Put the heap right after any page changed. */
static void heap_mend(struct placement *placement)
{
    for (size_t i = placement->heap_n / 2; i-- > 0;)
        sift_down(placement, i);
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
    heap_mend(placement);
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
    spread_init(&placement->spread, &planner->ledger, &placement->service->service->spec);
    placement->filtered = true;
}

void placement_init(struct placement *placement, struct planner *planner,
                    const struct service_tasks *service)
{
    check(service->service);
    *placement = (struct placement){.planner = planner, .service = service};
    demand_init(&placement->demand, &planner->lookup, service->service);
}

void placement_release(struct placement *placement)
{
    free(placement->heap);
    spread_release(&placement->spread);
    *placement = (struct placement){0};
}

/* The best page when labels are spread over; @from, if given, is where a task leaves, at once with
 * @hold, and where its successor may stay or not. NULL: none fits, and placement->refused says why.
 */
static struct node_ledger *find_spread(struct placement *placement, const struct node_ledger *from,
                                       bool hold, bool may_stay)
{
    struct ledger *ledger = &placement->planner->ledger;
    struct node_ledger *best = NULL;
    struct node_ledger best_as = {0};
    memset(placement->refused, 0, sizeof(placement->refused));
    if (from)
        spread_add(&placement->spread, (size_t)(from - ledger->nodes), -1);
    for (size_t i = 0; i < ledger->n; i++) {
        struct node_ledger *page = &ledger->nodes[i];
        struct node_ledger as = *page;
        as.own -= page == from;
        as.lasting -= page == from;
        if (page == from && !may_stay)
            continue;
        enum refusal refusal = filter_node(&placement->demand, hold ? &as : page);
        if (refusal != REFUSED_MAX) {
            placement->refused[refusal]++;
            continue;
        }
        int order =
            best ? spread_compare(&placement->spread, i, (size_t)(best - ledger->nodes)) : -1;
        bool first = page == from   ? stays_on(&as, &best_as)
                     : best == from ? !stays_on(&best_as, &as)
                                    : better(&as, &best_as);
        if (order > 0 || (order == 0 && !first))
            continue;
        best = page;
        best_as = as;
    }
    if (from)
        spread_add(&placement->spread, (size_t)(from - ledger->nodes), 1);
    return best;
}

static bool take_spread(struct placement *placement, const struct node_ledger *from, bool hold,
                        bool may_stay, int64_t *ret_node_id)
{
    struct planner *planner = placement->planner;
    struct node_ledger *page = find_spread(placement, from, hold, may_stay);
    if (!page)
        return false;
    if (from) {
        size_t place = (size_t)(from - planner->ledger.nodes);
        planner->ledger.nodes[place].lasting--;
        spread_add(&placement->spread, place, -1);
    }
    ledger_take(page, placement->demand.spec);
    spread_add(&placement->spread, (size_t)(page - planner->ledger.nodes), 1);
    *ret_node_id = page->node->id;
    if (placement->demand.homeless)
        demand_settle(&placement->demand, &planner->lookup, page->node->id);
    return true;
}

bool placement_take(struct placement *placement, int64_t *ret_node_id)
{
    prepare(placement);
    if (placement->spread.levels > 0)
        return take_spread(placement, NULL, false, false, ret_node_id);
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

/* Enter one more task on @page, which leaves the heap when it has room for no other. */
static void take_page(struct placement *placement, struct node_ledger *page)
{
    ledger_take(page, placement->demand.spec);
    enum refusal refusal = filter_room(&placement->demand, page);
    for (size_t i = 0; refusal != REFUSED_MAX && i < placement->heap_n; i++) {
        if (placement->heap[i] != page)
            continue;
        placement->refused[refusal]++;
        placement->heap[i] = placement->heap[--placement->heap_n];
        break;
    }
    heap_mend(placement);
}

static struct node_ledger *best_besides(const struct placement *placement,
                                        const struct node_ledger *page)
{
    struct node_ledger *best = NULL;
    for (size_t i = 0; i < placement->heap_n; i++)
        if (placement->heap[i] != page && (!best || better(placement->heap[i], best)))
            best = placement->heap[i];
    return best;
}

bool placement_take_after(struct placement *placement, int64_t from_id, bool hold, bool may_stay,
                          int64_t *ret_node_id)
{
    size_t place;
    struct planner *planner = placement->planner;
    prepare(placement);
    if (!lookup_node(&planner->lookup, from_id, &place))
        return placement_take(placement, ret_node_id);
    struct node_ledger *from = &planner->ledger.nodes[place];
    if (placement->spread.levels > 0)
        return take_spread(placement, from, hold, may_stay, ret_node_id);
    struct node_ledger after = *from;
    after.own--;
    after.lasting--;
    struct node_ledger *page = best_besides(placement, from);
    if (may_stay && filter_node(&placement->demand, hold ? &after : from) == REFUSED_MAX &&
        (!page || stays_on(&after, page)))
        page = from;
    if (!page)
        return false;
    from->lasting--;
    take_page(placement, page);
    *ret_node_id = page->node->id;
    return true;
}

bool placement_take_on(struct placement *placement, int64_t node_id, int64_t refused[REFUSED_MAX])
{
    struct planner *planner = placement->planner;
    size_t place;
    bool found = lookup_node(&planner->lookup, node_id, &place);
    check(found);
    struct node_ledger *page = &planner->ledger.nodes[place];
    enum refusal refusal = filter_node(&placement->demand, page);
    if (refusal != REFUSED_MAX) {
        refused[refusal]++;
        return false;
    }
    ledger_take(page, placement->demand.spec);
    if (placement->demand.homeless)
        demand_settle(&placement->demand, &planner->lookup, node_id);
    return true;
}

bool placement_after(struct placement *placement, const struct task *task,
                     int64_t refused[REFUSED_MAX])
{
    prepare(placement);
    if (placement->spread.levels > 0 ? find_spread(placement, NULL, false, false) != NULL
                                     : placement->heap_n > 0)
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
