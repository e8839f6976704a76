/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/ledger.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
    MILLION = 1000000,
};

/* @a - @b, held at the ends of the range: reservations come from users. */
static int64_t minus(int64_t a, int64_t b)
{
    int64_t result;
    if (!__builtin_sub_overflow(a, b, &result))
        return result;
    return b > 0 ? INT64_MIN : INT64_MAX;
}

/* What is reserved of @capacity, in millionths, at most all of it. */
static int64_t share(int64_t capacity, int64_t left)
{
    int64_t reserved = minus(capacity, left);
    if (reserved <= 0)
        return 0;
    if (capacity <= 0 || reserved >= capacity)
        return MILLION;
    return (int64_t)((__int128)reserved * MILLION / capacity);
}

static void page_update(struct node_ledger *page)
{
    page->used = share(page->node->cpu_milli, page->cpu_left) +
                 share(page->node->memory_bytes, page->memory_left);
}

/* A reservation as it counts: nobody reserves less than nothing. */
static int64_t reserved(int64_t amount)
{
    return amount > 0 ? amount : 0;
}

/* The place of resource @name among those of @node, or RESOURCES_MAX. */
static size_t resource_place(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->resources_n && i < RESOURCES_MAX; i++)
        if (str_equal(node->resources[i].name, name))
            return i;
    return RESOURCES_MAX;
}

int64_t ledger_resource_left(const struct node_ledger *page, const char *name)
{
    size_t place = resource_place(page->node, name);
    return place < RESOURCES_MAX ? minus(page->node->resources[place].count, page->taken[place])
                                 : 0;
}

static void page_enter(struct node_ledger *page, const struct spec *spec, int sign)
{
    page->tasks += sign;
    if (!spec)
        return;
    page->cpu_left = minus(page->cpu_left, sign * reserved(spec->reservations.cpu_milli));
    page->memory_left = minus(page->memory_left, sign * reserved(spec->reservations.memory_bytes));
    for (size_t i = 0; i < spec->resources_n; i++) {
        size_t place = resource_place(page->node, spec->resources[i].name);
        if (place < RESOURCES_MAX)
            page->taken[place] += sign * reserved(spec->resources[i].count);
    }
    page_update(page);
}

static void enter_group(struct ledger *ledger, const struct lookup *lookup,
                        const struct service_tasks *group)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct task *task = group->tasks[i];
        size_t place;
        if (!task_is_terminal(task->state) && lookup_node(lookup, task->node_id, &place))
            page_enter(&ledger->nodes[place], lookup_spec(lookup, group->service, task), 1);
    }
}

void ledger_init(struct ledger *ledger, const struct lookup *lookup)
{
    const struct view *view = lookup->view;
    *ledger = (struct ledger){.n = view->nodes_n};
    ledger->nodes = mem_alloc(view->nodes_n, sizeof(*ledger->nodes));
    for (size_t i = 0; i < view->nodes_n; i++)
        ledger->nodes[i] = (struct node_ledger){.node = &view->nodes[i],
                                                .cpu_left = view->nodes[i].cpu_milli,
                                                .memory_left = view->nodes[i].memory_bytes};
    for (size_t i = 0; i < view->services_n; i++)
        enter_group(ledger, lookup, &lookup->services[i]);
    enter_group(ledger, lookup, &lookup->orphans);
}

void ledger_release(struct ledger *ledger)
{
    free(ledger->nodes);
    *ledger = (struct ledger){0};
}

/* True when @task went wrong on its node within FAILING_MS before @now_ms. */
static bool failed_lately(const struct task *task, int64_t now_ms)
{
    bool failed = task->state == TASK_FAILED || (task->state == TASK_WAITING && task->run > 0) ||
                  (task->state == TASK_RUNNING && task->health == HEALTH_UNHEALTHY);
    return failed && minus(now_ms, task->state_ms) <= FAILING_MS;
}

static bool is_meant(const struct task *task)
{
    return !task_is_terminal(task->state) && task->desired != DESIRED_END;
}

/* True when the task at @i is to stay: its slot has no newer one. */
static bool lasts(const struct service_tasks *service, size_t i)
{
    const struct task *task = service->tasks[i];
    if (!is_meant(task))
        return false;
    for (size_t k = i + 1; k < service->n && service->tasks[k]->slot == task->slot; k++)
        if (service->tasks[k]->job_id == task->job_id && is_meant(service->tasks[k]))
            return false;
    return true;
}

void ledger_focus(struct ledger *ledger, const struct lookup *lookup,
                  const struct service_tasks *service)
{
    for (size_t i = 0; i < ledger->n; i++) {
        ledger->nodes[i].own = ledger->nodes[i].lasting = 0;
        ledger->nodes[i].failing = false;
    }
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        size_t place;
        if (!lookup_node(lookup, task->node_id, &place))
            continue;
        struct node_ledger *page = &ledger->nodes[place];
        if (!task_is_terminal(task->state))
            page->own++;
        if (lasts(service, i))
            page->lasting++;
        if (failed_lately(task, lookup->view->now_ms))
            page->failing = true;
    }
}

void ledger_take(struct node_ledger *page, const struct spec *spec)
{
    page->own++;
    page->lasting++;
    page_enter(page, spec, 1);
}

void ledger_return(struct node_ledger *page, const struct spec *spec)
{
    page->own--;
    page->lasting--;
    page_enter(page, spec, -1);
}
