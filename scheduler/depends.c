/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/depends.h"

#include "base/mem.h"

#include <stdio.h>

/* True when @task counts for those who depend on it: meant to run, on a node that is up. */
static bool is_there(const struct lookup *lookup, const struct task *task)
{
    size_t place;
    return task->desired == DESIRED_RUN && lookup_node(lookup, task->node_id, &place) &&
           lookup->view->nodes[place].status == NODE_UP;
}

/* True when a task of @service is running, and healthy if @healthy. One that ended well did start;
 * of a job, nothing better is to come. */
static bool is_serving(const struct lookup *lookup, const struct service_tasks *service,
                       bool healthy)
{
    bool job = mode_is_job(service->service->spec.mode);
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        bool done = task->state == TASK_COMPLETE && task->desired == DESIRED_RUN;
        if (done && (job || !healthy))
            return true;
        bool serves = healthy ? task_is_healthy(task) : task->state == TASK_RUNNING;
        if (serves && is_there(lookup, task))
            return true;
    }
    return false;
}

/* True when every slot of @service completed what its spec now says, or the last run of a job did;
 * *@ret_failed when one gave up. */
static bool is_completed(const struct lookup *lookup, const struct service_tasks *service,
                         bool *ret_failed)
{
    const struct spec *spec = &service->service->spec;
    bool global = mode_is_global(spec->mode);
    int64_t completed = 0;
    int64_t wanted = 0;
    *ret_failed = false;
    if (mode_is_job(spec->mode) && lookup->view->level >= 4) {
        const struct job_run *run = lookup_last_run(lookup, service->service);
        bool current = run && run->revision == service->service->revision;
        *ret_failed = current && (run->state == JOB_FAILED || run->state == JOB_CANCELED);
        return current && run->state == JOB_SUCCEEDED;
    }
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        if (task->desired != DESIRED_RUN || (!global && task->slot > spec->replicas))
            continue;
        wanted++;
        bool current = task->revision == service->service->revision;
        if (current && task->state == TASK_COMPLETE)
            completed++;
        if (current && task->state == TASK_FAILED)
            *ret_failed = true;
    }
    return global ? wanted > 0 && completed == wanted : completed >= spec->replicas;
}

/* What @on waits for, or NULL when it is satisfied. */
static const char *lacks(const struct lookup *lookup, const struct service_tasks *on,
                         enum depends_condition condition)
{
    if (!on || on->service->removed)
        return "to be deployed";
    if (!mode_is_global(on->service->spec.mode) && on->service->spec.replicas <= 0)
        return NULL;
    bool failed;
    switch (condition) {
    case DEPENDS_STARTED:
        return is_serving(lookup, on, false) ? NULL : "to be started";
    case DEPENDS_HEALTHY:
        return is_serving(lookup, on, true) ? NULL : "to be healthy";
    case DEPENDS_COMPLETED:
        if (is_completed(lookup, on, &failed))
            return NULL;
        return failed ? "to complete, but it failed" : "to complete";
    }
    return NULL;
}

/* True when the dependencies of @service are there: all, or only those on completed jobs. */
static bool are_there(const struct lookup *lookup, const struct service_tasks *service,
                      bool only_jobs, char *ret_waits_for)
{
    const struct service *row = service->service;
    for (size_t i = 0; i < row->spec.depends_on_n; i++) {
        const struct depends_spec *depends = &row->spec.depends_on[i];
        if (only_jobs && depends->condition != DEPENDS_COMPLETED)
            continue;
        const char *name = str_or_empty(depends->service);
        const char *what = lacks(lookup, lookup_service(lookup, row, name), depends->condition);
        if (what) {
            snprintf(ret_waits_for, WAITS_FOR_BYTES, "%s.%s %s", str_or_empty(row->stack), name,
                     what);
            return false;
        }
    }
    return true;
}

/* True when a task of @service ran before, here or where it is moved from. */
static bool has_run(const struct service_tasks *service)
{
    bool job = mode_is_job(service->service->spec.mode);
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        bool counts = !job || task->revision == service->service->revision;
        if (counts && (task->run > 0 || task->state == TASK_RUNNING))
            return true;
    }
    return false;
}

bool depends_let_start(const struct lookup *lookup, const struct service_tasks *service,
                       char *ret_waits_for)
{
    if (service->service->spec.depends_on_n == 0 || has_run(service))
        return true;
    return are_there(lookup, service, false, ret_waits_for);
}

bool depends_let_update(const struct lookup *lookup, const struct service_tasks *service,
                        char *ret_waits_for)
{
    return are_there(lookup, service, true, ret_waits_for);
}
