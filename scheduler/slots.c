/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/slots.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

const struct service *slots_service(const struct slots *slots)
{
    return slots->service->service;
}

bool slots_are_nodes(const struct slots *slots)
{
    return slots_service(slots)->spec.mode == MODE_GLOBAL;
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

/* A global service wants a task on every node that meets its constraints and is not being emptied,
 * but for witnesses. What a node that is down has stays as it is. */
static void list_nodes(struct slots *slots)
{
    const struct view *view = slots->planner->view;
    slots->n = view->nodes_n;
    slots->list = mem_alloc(slots->n, sizeof(*slots->list));
    for (size_t i = 0; i < slots->n; i++) {
        const struct node *node = &view->nodes[i];
        slots->list[i].id = node->id;
        if (node->witness)
            continue;
        bool fits = node->availability != AVAILABLE_DRAIN &&
                    filter_constraints(&slots_service(slots)->spec, node);
        slots->list[i].wanted = fits || node->status != NODE_UP;
    }
}

static void list_replicas(struct slots *slots)
{
    int64_t replicas = slots_service(slots)->spec.replicas;
    if (replicas < 0)
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
    return !slots_are_nodes(slots) && node->availability == AVAILABLE_DRAIN &&
           node->status == NODE_UP && !task_is_terminal(task->state);
}

/* True when @task, on @node, is where it may stay, for the revision that is wanted. */
static bool is_settled(const struct slots *slots, const struct task *task, const struct node *node)
{
    return node->status == NODE_UP && node->availability != AVAILABLE_DRAIN &&
           is_current(slots, task);
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
    if (!slots_are_nodes(slots) || task->slot != task->node_id)
        planner_end(planner, slots_service(slots), task, "scaled down");
    else if (node->availability == AVAILABLE_DRAIN)
        planner_end(planner, slots_service(slots), task, "node %s is draining",
                    str_or_empty(node->name));
    else
        planner_end(planner, slots_service(slots), task, "node %s no longer meets the constraints",
                    str_or_empty(node->name));
}

/* The slot has a task and here is another, on @node: true when one of them is to take over from the
 * other, which leaves its node, and that is seen to. */
static bool share(struct slots *slots, struct slot *slot, const struct task *task,
                  const struct node *node)
{
    bool first = slots_is_leaving(slots, slot->task, slot->node) && is_settled(slots, task, node);
    bool second = slots_is_leaving(slots, task, node) && is_settled(slots, slot->task, slot->node);
    if (is_job(slots) || (!first && !second))
        return false;
    const struct task *successor = first ? task : slot->task;
    const struct node *target = first ? node : slot->node;
    const struct task *leaving = first ? slot->task : task;
    const struct node *left = first ? slot->node : node;
    if (task_is_healthy(successor) || !task_is_healthy(leaving)) {
        planner_end(slots->planner, slots_service(slots), leaving, "moved to %s",
                    str_or_empty(target->name));
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
        else
            planner_remove(planner, slots_service(slots), task, true);
        return;
    }
    const struct node *node = &planner->view->nodes[place];
    if (task->desired == DESIRED_RUN) {
        seat(slots, task, node);
    } else if (task_is_terminal(task->state)) {
        planner_remove(planner, slots_service(slots), task, false);
    } else if (node->status == NODE_UP) {
        struct slot *slot = slot_of(slots, task);
        if (slot)
            slot->blocked = true;
    }
}

/* The task in @slot is to go, come what may. */
static void vacate(struct slots *slots, struct slot *slot, const char *reason)
{
    const struct task *task = slot->task;
    planner_end(slots->planner, slots_service(slots), task, "%s", reason);
    bool stopped = task_is_terminal(task->state) || slot->node->status != NODE_UP;
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
    } else if (is_job(slots) && !is_current(slots, task)) {
        vacate(slots, slot, "a new revision runs");
    } else if (is_job(slots) && task_is_terminal(task->state)) {
        slot->state = SLOT_CLOSED;
    } else if (slot->node->status != NODE_UP && node) {
        slot->state = SLOT_CLOSED;
    } else if (slot->node->status != NODE_UP && !task_is_terminal(task->state)) {
        slot->state = slot->blocked ? SLOT_CLOSED : SLOT_LOST;
    } else {
        slot->state = SLOT_HELD;
    }
}

/* A global service for which no node will do would be silent: say why. */
static void explain_no_node(struct slots *slots)
{
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
    for (size_t i = 0; i < slots->n; i++)
        judge(slots, &slots->list[i], slots_are_nodes(slots) ? &planner->view->nodes[i] : NULL);
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
           task_is_healthy(slot->task);
}

bool slots_succeed(struct slots *slots, struct slot *slot)
{
    int64_t node_id;
    check(slot->state == SLOT_HELD && !slot->successor && !slot->blocked);
    if (!placement_take(slots->placement, &node_id))
        return false;
    planner_create(slots->planner, slots_service(slots), slot->id, node_id, true);
    return true;
}

void slots_end(struct slots *slots, struct slot *slot, const char *reason)
{
    check(slot->state == SLOT_HELD);
    vacate(slots, slot, reason);
}
