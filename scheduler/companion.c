/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/companion.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool service_is_companion(const struct service *service)
{
    return *str_or_empty(service->spec.network_of) != '\0';
}

/* True when the plan, as far as it is made, has an end for @task. */
static bool is_ended(const struct planner *planner, const struct task *task)
{
    for (size_t i = 0; i < planner->plan->steps_n; i++)
        if (planner->plan->steps[i].kind == STEP_END && planner->plan->steps[i].task_id == task->id)
            return true;
    return false;
}

const struct task *companion_host(const struct planner *planner, const struct service *service,
                                  int64_t slot)
{
    const struct lookup *lookup = &planner->lookup;
    const struct service_tasks *host = lookup_service(lookup, service, service->spec.network_of);
    const struct task *found = NULL;
    size_t place;
    for (size_t i = 0; host && i < host->n; i++) {
        const struct task *task = host->tasks[i];
        if (task->slot == slot && task->desired == DESIRED_RUN && task->state == TASK_RUNNING &&
            lookup_node(lookup, task->node_id, &place) && !is_ended(planner, task))
            found = task; /* they are in order of their ids */
    }
    return found;
}

static int compare_id(const void *key, const void *element)
{
    int64_t id = *(const int64_t *)key;
    const struct task *task = element;
    return (id > task->id) - (id < task->id);
}

bool companion_stays(const struct lookup *lookup, const struct task *task)
{
    const struct view *view = lookup->view;
    if (task->network_task == 0)
        return true;
    const struct task *host = view->tasks_n ? bsearch(&task->network_task, view->tasks,
                                                      view->tasks_n, sizeof(*host), compare_id)
                                            : NULL;
    return host && host->desired == DESIRED_RUN;
}

void companion_waits_for(const struct lookup *lookup, const struct service *service, int64_t slot,
                         char *out, size_t size)
{
    const char *stack = str_or_empty(service->stack);
    const char *name = str_or_empty(service->spec.network_of);
    size_t place;
    if (!mode_is_global(service->spec.mode))
        snprintf(out, size, "%.24s.%.24s.%" PRId64 ", whose network it shares, to run", stack, name,
                 slot);
    else
        snprintf(out, size, "%.24s.%.24s on %.20s, whose network it shares, to run", stack, name,
                 lookup_node(lookup, slot, &place) ? str_or_empty(lookup->view->nodes[place].name)
                                                   : "its node");
}
