/* SPDX-License-Identifier: Apache-2.0 */
/* What people do to services and tasks by hand: stop, start, restart, roll back, remove, move. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* The service of that name, which is not being removed. */
static int find_service(struct apply *apply, const char *stack, const char *name,
                        struct service *ret_service, struct err *err)
{
    cleanup_free char *title = str_printf("%s.%s", str_or_empty(stack), str_or_empty(name));
    if (store_find(apply->store, TABLE_SERVICE, title, ret_service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %.130s does not exist", title);
    apply->made = ret_service->id;
    if (!ret_service->removed)
        return 0;
    record_release(&service_type, ret_service);
    return err_set(err, ERR_NOTFOUND, "service %.130s is being removed", title);
}

int apply_service_stop(struct apply *apply, const struct change_service_stop *change,
                       struct err *err)
{
    struct service service;
    int rv = find_service(apply, change->stack, change->service, &service, err);
    if (rv < 0)
        return rv;
    if (service.stopped == change->start) {
        cleanup_free char *title = service_title(&service);
        service.stopped = !change->start;
        service.updated_ms = apply->now_ms;
        apply_put(apply, TABLE_SERVICE, &service);
        apply_event(apply, "service", title, change->start ? "started" : "stopped");
    }
    record_release(&service_type, &service);
    return 0;
}

int apply_service_restart(struct apply *apply, const struct change_service_restart *change,
                          struct err *err)
{
    struct service service;
    int rv = find_service(apply, change->stack, change->service, &service, err);
    if (rv < 0)
        return rv;
    struct spec spec;
    record_copy(&spec_type, &service.spec, &spec);
    spec.restarts++;
    service_revise(apply, &service, &spec, "restarted");
    record_release(&spec_type, &spec);
    record_release(&service_type, &service);
    return 0;
}

int apply_service_rollback(struct apply *apply, const struct change_service_rollback *change,
                           struct err *err)
{
    struct service service;
    int rv = find_service(apply, change->stack, change->service, &service, err);
    if (rv < 0)
        return rv;
    int64_t to = change->revision ? change->revision : service.stable_revision;
    if (service.revision != change->expected_revision)
        rv = err_set(err, ERR_CONFLICT,
                     "service %s.%s is at revision %" PRId64 ", the rollback was planned from "
                     "%" PRId64,
                     service.stack, service.name, service.revision, change->expected_revision);
    else if (to == 0)
        rv = err_set(err, ERR_NOTFOUND, "service %s.%s has no revision before this one",
                     service.stack, service.name);
    else
        rv = service_roll_back(apply, &service, to, "by hand", err);
    record_release(&service_type, &service);
    return rv;
}

int apply_service_retire(struct apply *apply, const struct change_service_retire *change,
                         struct err *err)
{
    struct service service;
    int rv = find_service(apply, change->stack, change->service, &service, err);
    if (rv < 0)
        return rv;
    struct stack stack;
    service_mark_removed(apply, &service);
    if (store_get(apply->store, TABLE_STACK, service.stack_id, &stack) == 0) {
        /* A deploy that was planned before is refused. */
        stack.revision++;
        stack.updated_ms = apply->now_ms;
        apply_put(apply, TABLE_STACK, &stack);
        record_release(&stack_type, &stack);
    }
    record_release(&service_type, &service);
    return 0;
}

/* --- tasks --------------------------------------------------------------------------------- */

static int move_task(struct apply *apply, struct task *task, const struct change_task_move *change,
                     struct err *err)
{
    cleanup_free char *title = task_title(task);
    struct service service;
    struct node node;
    const char *name = "another member";
    if (task->desired == DESIRED_END || task_is_terminal(task->state))
        return err_set(err, ERR_CONFLICT, "task %s is to end already", title);
    if (store_get(apply->store, TABLE_SERVICE, task->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "the service of task %s does not exist", title);
    bool global = mode_is_global(service.spec.mode);
    bool job = mode_is_job(service.spec.mode);
    cleanup_free char *host = str_copy(str_or_empty(service.spec.network_of));
    record_release(&service_type, &service);
    if (job && change->node_id != 0)
        return err_set(err, ERR_INVALID, "task %s is of a job: it runs to its end where it is",
                       title);
    if (global)
        return err_set(err, ERR_INVALID,
                       "task %s is of a global service: it has one on every member", title);
    if (task->network_task != 0 && change->node_id != 0)
        return err_set(err, ERR_INVALID,
                       "task %s is where %s.%s.%" PRId64 " is, whose network it shares: move that",
                       title, task->stack, host, task->slot);
    if (change->node_id == task->node_id)
        return err_set(err, ERR_INVALID, "task %s is on that member already", title);
    bool to_one = change->node_id > 0;
    if (to_one) {
        int rv = task_node_get(apply, change->node_id, &node, err);
        if (rv < 0)
            return rv;
        name = node.name;
    }
    task->move_to = change->node_id < 0 ? -1 : change->node_id;
    free(task->move_reason);
    task->move_reason = str_copy(str_or_empty(change->reason));
    apply_put(apply, TABLE_TASK, task);
    if (task->move_to != 0)
        apply_event(apply, "task", title, "is to move to %s%s%.150s", name,
                    *task->move_reason ? ": " : "", task->move_reason);
    else
        apply_event(apply, "task", title, "stays%s%.150s", *task->move_reason ? ": " : "",
                    task->move_reason);
    if (to_one)
        record_release(&node_type, &node);
    return 0;
}

int apply_task_move(struct apply *apply, const struct change_task_move *change, struct err *err)
{
    struct task task;
    if (store_get(apply->store, TABLE_TASK, change->task_id, &task) < 0)
        return err_set(err, ERR_NOTFOUND, "task %" PRId64 " does not exist", change->task_id);
    apply->made = task.id;
    int rv = move_task(apply, &task, change, err);
    record_release(&task_type, &task);
    return rv;
}

/* Another task of the slot of @task is meant to run. */
static bool has_other(struct apply *apply, const struct task *task)
{
    bool found = false;
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_IN_SLOT);
    sql_int(stmt, 1, task->service_id);
    sql_int(stmt, 2, task->slot);
    while (sql_step(stmt)) {
        struct task other;
        row_decode(TABLE_TASK, stmt, &other);
        if (other.id != task->id && other.desired == DESIRED_RUN)
            found = true;
        record_release(&task_type, &other);
    }
    return found;
}

int apply_task_release(struct apply *apply, const struct change_task_release *change,
                       struct err *err)
{
    struct task task;
    int rv = 0;
    if (store_get(apply->store, TABLE_TASK, change->task_id, &task) < 0)
        return err_set(err, ERR_NOTFOUND, "task %" PRId64 " does not exist", change->task_id);
    cleanup_free char *title = task_title(&task);
    apply->made = task.id;
    if (task.desired == DESIRED_END) {
        rv = err_set(err, ERR_CONFLICT, "task %s is to end", title);
    } else if (has_other(apply, &task)) {
        rv = err_set(err, ERR_CONFLICT, "another task of %s is meant to run", title);
    } else if (task.desired == DESIRED_READY) {
        task.desired = DESIRED_RUN;
        task.ready = false;
        apply_put(apply, TABLE_TASK, &task);
        apply_event(apply, "task", title, "is to start");
    }
    record_release(&task_type, &task);
    return rv;
}
