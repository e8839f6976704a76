/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/fill.h"

#include "scheduler/companion.h"
#include "scheduler/depends.h"
#include "scheduler/filter.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

static void note_refusals(struct slots *slots, const struct slot *slot,
                          const int64_t refused[REFUSED_MAX])
{
    struct unplaced *unplaced = planner_unplaced(slots->planner, slots_service(slots), slot->id);
    int64_t node_id;
    unplaced->nodes =
        slots_node_of(slots, slot, &node_id) ? 1 : (int64_t)slots->planner->view->nodes_n;
    memcpy(unplaced->refused, refused, sizeof(unplaced->refused));
}

/* What got ready to follow follows. */
static void release(struct slots *slots, struct slot *slot)
{
    if (slot->state == SLOT_LOST)
        planner_end(slots->planner, slots_service(slots), slot->task, "node %s is down",
                    str_or_empty(slot->node->name));
    planner_release(slots->planner, slots_service(slots), slot->held);
    slot->state = SLOT_PLACED;
}

/* Find a node for @slot and create its task. */
static void fill(struct slots *slots, struct slot *slot)
{
    int64_t refused[REFUSED_MAX] = {0};
    int64_t node_id = slot->id;
    bool given = slots_node_of(slots, slot, &node_id);
    bool found = given ? placement_take_on(slots->placement, node_id, refused)
                       : placement_take(slots->placement, &node_id);
    if (!found) {
        note_refusals(slots, slot, given ? refused : slots->placement->refused);
        slot->state = slot->state == SLOT_LOST ? SLOT_CLOSED : SLOT_UNPLACED;
        return;
    }
    if (slot->state == SLOT_LOST)
        planner_end(slots->planner, slots_service(slots), slot->task, "node %s is down",
                    str_or_empty(slot->node->name));
    planner_create(slots->planner, slots_service(slots), slot->id, node_id, false, false);
    slot->state = SLOT_PLACED;
}

void fill_slots(struct slots *slots)
{
    char waits_for[WAITS_FOR_BYTES] = "";
    bool asked = false;
    bool may_start = true;
    for (size_t i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->list[i];
        if (slot->state != SLOT_MISSING && slot->state != SLOT_LOST)
            continue;
        if (slot->held) {
            release(slots, slot);
            continue;
        }
        if (!asked)
            may_start = !filter_home_is_away(&slots->planner->lookup, &slots_service(slots)->spec,
                                             waits_for, sizeof(waits_for)) &&
                        depends_let_start(&slots->planner->lookup, slots->service, waits_for);
        asked = true;
        bool alone = may_start && slots_lacks_host(slots, slot);
        if (alone)
            companion_waits_for(&slots->planner->lookup, slots_service(slots), slot->id, waits_for,
                                sizeof(waits_for));
        if (may_start && !alone) {
            fill(slots, slot);
            continue;
        }
        struct unplaced *unplaced =
            planner_unplaced(slots->planner, slots_service(slots), slot->id);
        str_fill(unplaced->waits_for, sizeof(unplaced->waits_for), waits_for);
        slot->state = slot->state == SLOT_LOST ? SLOT_CLOSED : SLOT_UNPLACED;
    }
}

bool fill_can_follow(struct slots *slots, const struct slot *slot)
{
    check(slot->state == SLOT_HELD);
    int64_t refused[REFUSED_MAX] = {0};
    int64_t node_id;
    if (slots_lacks_host(slots, slot)) {
        struct unplaced *unplaced =
            planner_unplaced(slots->planner, slots_service(slots), slot->id);
        companion_waits_for(&slots->planner->lookup, slots_service(slots), slot->id,
                            unplaced->waits_for, sizeof(unplaced->waits_for));
        return false;
    }
    if (!slots_node_of(slots, slot, &node_id)) {
        if (placement_after(slots->placement, slot->task, refused))
            return true;
        note_refusals(slots, slot, refused);
        return false;
    }
    const struct planner *planner = slots->planner;
    size_t place;
    bool found = lookup_node(&planner->lookup, node_id, &place);
    check(found);
    struct node_ledger page = planner->ledger.nodes[place];
    if (!task_is_terminal(slot->task->state))
        ledger_return(&page, lookup_spec(&planner->lookup, slots_service(slots), slot->task));
    enum refusal refusal = filter_node(&slots->placement->demand, &page);
    if (refusal == REFUSED_MAX)
        return true;
    refused[refusal]++;
    note_refusals(slots, slot, refused);
    return false;
}
