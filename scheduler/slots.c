/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/slots.h"

#include "scheduler/companion.h"
#include "scheduler/patience.h"
#include "scheduler/single.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const struct service *slots_service(const struct slots *slots)
{
    return slots->service->service;
}

bool slots_are_nodes(const struct slots *slots)
{
    return slots_service(slots)->spec.mode == MODE_GLOBAL;
}

bool slots_lacks_host(const struct slots *slots, const struct slot *slot)
{
    const struct service *service = slots_service(slots);
    return service_is_companion(service) && !companion_host(slots->planner, service, slot->id);
}

bool slots_node_of(const struct slots *slots, const struct slot *slot, int64_t *ret_node_id)
{
    const struct service *service = slots_service(slots);
    const struct task *host =
        service_is_companion(service) ? companion_host(slots->planner, service, slot->id) : NULL;
    if (!host && !slots_are_nodes(slots))
        return false;
    *ret_node_id = host ? host->node_id : slot->id;
    return true;
}

static bool is_job(const struct slots *slots)
{
    return slots_service(slots)->spec.mode == MODE_REPLICATED_JOB;
}

static bool is_current(const struct slots *slots, const struct task *task)
{
    return task->revision == slots_service(slots)->revision;
}

/* --- the list ---------------------------------------------------------------------------- */

/* A global service wants a task on every node that is of its platform, meets its constraints and is
 * not being emptied, but for witnesses. What a node that is down has stays as it is. */
static void list_nodes(struct slots *slots)
{
    const struct view *view = slots->planner->view;
    bool stopped = slots_service(slots)->stopped;
    slots->n = view->nodes_n;
    slots->list = mem_alloc(slots->n, sizeof(*slots->list));
    for (size_t i = 0; i < slots->n; i++) {
        const struct node *node = &view->nodes[i];
        slots->list[i].id = node->id;
        if (node->witness || stopped)
            continue;
        const struct spec *spec = &slots_service(slots)->spec;
        bool fits = node->availability != AVAILABLE_DRAIN &&
                    filter_platform(spec->platform, node) && filter_constraints(spec, node);
        slots->list[i].wanted = fits || node->status != NODE_UP;
    }
}

static void list_replicas(struct slots *slots)
{
    int64_t replicas = slots_service(slots)->spec.replicas;
    if (replicas < 0 || slots_service(slots)->stopped)
        replicas = 0;
    slots->n = replicas < SERVICE_SLOTS_MAX ? (size_t)replicas : SERVICE_SLOTS_MAX;
    slots->list = mem_alloc(slots->n, sizeof(*slots->list));
    for (size_t i = 0; i < slots->n; i++) {
        slots->list[i].id = (int64_t)i + 1;
        slots->list[i].wanted = true;
    }
}

/* The slot that @task is meant for, or NULL when the service does not want it. */
static struct slot *slot_of(const struct slots *slots, const struct task *task)
{
    size_t place;
    if (slots_are_nodes(slots)) {
        if (task->slot != task->node_id ||
            !lookup_node(&slots->planner->lookup, task->slot, &place))
            return NULL;
    } else {
        if (task->slot < 1 || task->slot > (int64_t)slots->n)
            return NULL;
        place = (size_t)task->slot - 1;
    }
    return slots->list[place].wanted ? &slots->list[place] : NULL;
}

/* --- tasks into slots -------------------------------------------------------------------- */

bool slots_is_leaving(const struct slots *slots, const struct task *task, const struct node *node)
{
    bool leaving = node->availability == AVAILABLE_DRAIN || task->move_to != 0;
    bool stays = slots_are_nodes(slots) || service_is_companion(slots_service(slots));
    return !stays && leaving && node->status == NODE_UP && !task_is_terminal(task->state);
}

void slots_why_leaving(const struct task *task, const struct node *node, char *out, size_t size)
{
    if (node->availability == AVAILABLE_DRAIN)
        snprintf(out, size, "node %s is draining", str_or_empty(node->name));
    else
        snprintf(out, size, "moves: %s", str_or_empty(task->move_reason));
}

bool slots_exclude(const struct slots *slots)
{
    const struct spec *spec = &slots_service(slots)->spec;
    return spec->options.network_host || spec->single || service_is_companion(slots_service(slots));
}

/* True when @task, on @node, is where it may stay, for the revision that is wanted. */
static bool is_settled(const struct slots *slots, const struct task *task, const struct node *node)
{
    return node->status == NODE_UP && node->availability != AVAILABLE_DRAIN && task->move_to == 0 &&
           is_current(slots, task);
}

/* True when @task, on @node, is there until something follows it: it leaves its node, or a newer
 * revision is wanted. */
static bool is_passing(const struct slots *slots, const struct task *task, const struct node *node)
{
    bool newer = slots->planner->view->level >= 4 && !is_current(slots, task);
    return slots_is_leaving(slots, task, node) || (newer && node->status == NODE_UP);
}

/* True when @a deserves the slot more than @b. */
static bool keeps_slot(const struct slots *slots, const struct task *a, const struct task *b)
{
    if (is_current(slots, a) != is_current(slots, b))
        return is_current(slots, a);
    if (task_is_healthy(a) != task_is_healthy(b))
        return task_is_healthy(a);
    return a->id < b->id;
}

/* Why the service does not want @task on @node. */
static void end_surplus(struct slots *slots, const struct task *task, const struct node *node)
{
    struct planner *planner = slots->planner;
    if (slots_service(slots)->stopped)
        planner_end(planner, slots_service(slots), task, "service stopped");
    else if (!slots_are_nodes(slots) || task->slot != task->node_id)
        planner_end(planner, slots_service(slots), task, "scaled down");
    else if (node->availability == AVAILABLE_DRAIN)
        planner_end(planner, slots_service(slots), task, "node %s is draining",
                    str_or_empty(node->name));
    else
        planner_end(planner, slots_service(slots), task, "node %s no longer meets the constraints",
                    str_or_empty(node->name));
}

/* The slot has a task and here is another, on @node: true when one of them is to take over from the
 * other, and that is seen to. */
static bool share(struct slots *slots, struct slot *slot, const struct task *task,
                  const struct node *node)
{
    bool first = is_passing(slots, slot->task, slot->node) && is_settled(slots, task, node);
    bool second = is_passing(slots, task, node) && is_settled(slots, slot->task, slot->node);
    if (is_job(slots) || (!first && !second))
        return false;
    const struct task *successor = first ? task : slot->task;
    const struct node *target = first ? node : slot->node;
    const struct task *leaving = first ? slot->task : task;
    const struct node *left = first ? slot->node : node;
    if (task_is_healthy(successor) || !task_is_healthy(leaving)) {
        if (is_current(slots, leaving))
            planner_end(slots->planner, slots_service(slots), leaving, "moved to %s",
                        str_or_empty(target->name));
        else
            planner_end(slots->planner, slots_service(slots), leaving,
                        "update to revision %" PRId64, slots_service(slots)->revision);
        slot->task = successor;
        slot->node = target;
        slot->blocked = true;
        return true;
    }
    slot->task = leaving;
    slot->node = left;
    slot->successor = successor;
    return true;
}

/* @task, on @node, gets ready to follow what is in its slot. */
static void seat_held(struct slots *slots, const struct task *task, const struct node *node)
{
    struct slot *slot = slot_of(slots, task);
    if (!slot)
        end_surplus(slots, task, node);
    else if (!is_settled(slots, task, node) || !companion_stays(&slots->planner->lookup, task))
        planner_end(slots->planner, slots_service(slots), task, "it is not to follow any more");
    else if (slot->held)
        planner_end(slots->planner, slots_service(slots), task, "its slot has another successor");
    else
        slot->held = task;
}

/* True when @task may still run where nobody sees it; then its slot, if it has one, stays empty. */
static bool hold_lease(struct slots *slots, struct slot *slot, const struct task *task)
{
    if (!single_holds(slots->planner, slots_service(slots), task))
        return false;
    if (slot) {
        slot->lease_of = task;
        slot->blocked = true;
    }
    return true;
}

/* @task is meant to run on @node. */
static void seat(struct slots *slots, const struct task *task, const struct node *node)
{
    struct slot *slot = slot_of(slots, task);
    if (!slot) {
        end_surplus(slots, task, node);
        return;
    }
    if (slot->task && !slot->successor && share(slots, slot, task, node))
        return;
    if (slot->task) {
        bool wins = !slot->successor && keeps_slot(slots, task, slot->task);
        const struct task *loser = wins ? slot->task : task;
        const struct node *there = wins ? slot->node : node;
        planner_end(slots->planner, slots_service(slots), loser, "its slot has another task");
        slot->blocked |= there->status == NODE_UP && !task_is_terminal(loser->state);
        hold_lease(slots, slot, loser);
        if (!wins)
            return;
    }
    slot->task = task;
    slot->node = node;
}

/* Put @task where it belongs, or dispose of it. */
static void sort_task(struct slots *slots, const struct task *task)
{
    struct planner *planner = slots->planner;
    size_t place;
    if (!lookup_node(&planner->lookup, task->node_id, &place)) {
        struct slot *slot = slot_of(slots, task);
        bool proof = is_job(slots) && slot && task->state == TASK_COMPLETE &&
                     task->desired == DESIRED_RUN && is_current(slots, task);
        if (proof) /* keep it, or the job would run again */
            slot->task = task;
        else if (!hold_lease(slots, slot, task)) /* else its row stays until that is over */
            planner_remove(planner, slots_service(slots), task, true);
        return;
    }
    const struct node *node = &planner->view->nodes[place];
    if (task->desired == DESIRED_RUN) {
        seat(slots, task, node);
    } else if (task->desired == DESIRED_READY) {
        seat_held(slots, task, node);
    } else if (task_is_terminal(task->state)) {
        planner_remove(planner, slots_service(slots), task, false);
    } else {
        struct slot *slot = slot_of(slots, task);
        hold_lease(slots, slot, task);
        if (slot)
            slot->blocked |= node->status == NODE_UP;
    }
}

/* The task in @slot is to go, come what may. */
static void vacate(struct slots *slots, struct slot *slot, const char *reason)
{
    const struct task *task = slot->task;
    planner_end(slots->planner, slots_service(slots), task, "%s", reason);
    bool stopped = task_is_terminal(task->state) ||
                   (slot->node->status != NODE_UP &&
                    !single_holds(slots->planner, slots_service(slots), task));
    slot->state = stopped && !slot->blocked ? SLOT_MISSING : SLOT_ENDING;
    slot->task = NULL;
    slot->node = NULL;
}

/* Tell what state @slot is in, now that all tasks are sorted. */
static void judge(struct slots *slots, struct slot *slot, const struct node *node)
{
    const struct task *task = slot->task;
    if (!slot->wanted) {
        slot->state = SLOT_CLOSED;
    } else if (!task) {
        bool closed = node && (node->status != NODE_UP || node->availability != AVAILABLE_ACTIVE);
        slot->state = closed ? SLOT_CLOSED : slot->blocked ? SLOT_ENDING : SLOT_MISSING;
    } else if (!slot->node) {
        slot->state = SLOT_CLOSED;
    } else if (task->state == TASK_ENDED) {
        vacate(slots, slot, "it ended");
    } else if (!companion_stays(&slots->planner->lookup, task)) {
        vacate(slots, slot, "the task whose network it shares is to end");
    } else if (is_job(slots) && !is_current(slots, task)) {
        vacate(slots, slot, "a new revision runs");
    } else if (is_job(slots) && task_is_terminal(task->state)) {
        slot->state = SLOT_CLOSED;
    } else if (slot->node->status != NODE_UP && node) {
        slot->state = SLOT_CLOSED;
    } else if (slot->node->status != NODE_UP && !task_is_terminal(task->state)) {
        bool waits = slot->blocked ||
                     patience_holds(slots->planner, slots_service(slots), task, slot->node) ||
                     hold_lease(slots, slot, task);
        slot->state = waits ? SLOT_CLOSED : SLOT_LOST;
    } else {
        slot->state = SLOT_HELD;
    }
}

/* A global service for which no node will do would be silent: say why. */
static void explain_no_node(struct slots *slots)
{
    if (slots_service(slots)->stopped)
        return;
    for (size_t i = 0; i < slots->n; i++)
        if (slots->list[i].task || slots->list[i].state != SLOT_CLOSED)
            return;
    const struct ledger *ledger = &slots->planner->ledger;
    struct unplaced *unplaced = planner_unplaced(slots->planner, slots_service(slots), 0);
    unplaced->nodes = (int64_t)ledger->n;
    for (size_t i = 0; i < ledger->n; i++) {
        enum refusal refusal = filter_node(&slots->placement->demand, &ledger->nodes[i]);
        check(refusal != REFUSED_MAX);
        unplaced->refused[refusal]++;
    }
}

void slots_init(struct slots *slots, struct planner *planner, const struct service_tasks *service,
                struct placement *placement)
{
    *slots = (struct slots){.planner = planner, .service = service, .placement = placement};
    if (slots_are_nodes(slots))
        list_nodes(slots);
    else
        list_replicas(slots);
    for (size_t i = 0; i < service->n; i++)
        sort_task(slots, service->tasks[i]);
    for (size_t i = 0; i < slots->n; i++) {
        struct slot *slot = &slots->list[i];
        judge(slots, slot, slots_are_nodes(slots) ? &planner->view->nodes[i] : NULL);
        bool empty = !slot->task || slot->task == slot->lease_of;
        if (slot->wanted && slot->lease_of && empty)
            single_note(planner, slots_service(slots), slot->lease_of);
    }
    if (slots_are_nodes(slots))
        explain_no_node(slots);
}

void slots_release(struct slots *slots)
{
    free(slots->list);
    *slots = (struct slots){0};
}

bool slots_overlap(const struct slots *slots, const struct slot *slot)
{
    return slots->planner->view->overlap && !slots_are_nodes(slots) && !is_job(slots) &&
           !slots_exclude(slots) && task_is_healthy(slot->task);
}

/* Where the task of @slot is told to go. A node that does not fit is said, and it stays. */
static bool take_told(struct slots *slots, const struct slot *slot, int64_t *ret_node_id)
{
    struct planner *planner = slots->planner;
    const struct task *task = slot->task;
    size_t place;
    if (!lookup_node(&planner->lookup, task->move_to, &place)) {
        planner_move(planner, slots_service(slots), task, 0, "its node is gone");
        return false;
    }
    struct node_ledger *page = &planner->ledger.nodes[place];
    enum refusal refusal = filter_node(&slots->placement->demand, page);
    if (refusal != REFUSED_MAX) {
        planner_move(planner, slots_service(slots), task, 0, "%s %s",
                     str_or_empty(page->node->name), refusal_text_of_one(refusal));
        return false;
    }
    ledger_take(page, &slots_service(slots)->spec);
    *ret_node_id = task->move_to;
    return true;
}

bool slots_succeed(struct slots *slots, struct slot *slot, bool hold)
{
    int64_t node_id = slot->id;
    int64_t refused[REFUSED_MAX] = {0};
    bool found;
    check(slot->state == SLOT_HELD && !slot->successor && !slot->held);
    if (slots_lacks_host(slots, slot))
        return false;
    if (slots_node_of(slots, slot, &node_id))
        found = placement_take_on(slots->placement, node_id, refused);
    else if (slot->task->move_to > 0 && slot->node->availability != AVAILABLE_DRAIN)
        found = take_told(slots, slot, &node_id);
    else
        found = placement_take_after(slots->placement, slot->node->id, hold,
                                     slot->task->move_to == 0, &node_id);
    if (!found && slot->task->move_to < 0)
        planner_move(slots->planner, slots_service(slots), slot->task, 0, "no other node fits");
    if (!found)
        return false;
    planner_create(slots->planner, slots_service(slots), slot->id, node_id, true, hold);
    return true;
}

void slots_end(struct slots *slots, struct slot *slot, const char *reason)
{
    check(slot->state == SLOT_HELD);
    vacate(slots, slot, reason);
}
