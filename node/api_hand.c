/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs by which people handle services that are there: what cluster/api_service.h says. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/stackplan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The service called @text, which the caller may see, in *@ret. False: @c was answered. */
static bool find_service(struct api_call *c, const char *text, struct service *ret)
{
    struct object_name name;
    struct err err = {0};
    bool found = false;
    if (object_name_parse(text, &name, &err) < 0) {
        api_fail(c, &err);
        return false;
    }
    cleanup_free char *title = str_printf("%s.%s", name.stack, str_or_empty(name.service));
    if (!name.service || name.slot != 0)
        api_fail_with(c, ERR_INVALID, "'%.60s' is not a service: STACK.SERVICE is", text);
    else if (!caller_sees(&c->caller, name.stack) ||
             store_find(c->daemon->store, TABLE_SERVICE, title, ret) < 0)
        api_fail_with(c, ERR_NOTFOUND, "there is no service '%.130s' ('wherry ls' lists them)",
                      text);
    else
        found = true;
    object_name_release(&name);
    return found;
}

/* --- acts ------------------------------------------------------------------------------------- */

static void set_rollout(struct api_call *c, const struct service *s, bool resume)
{
    bool back = s->rollout == ROLLOUT_ROLLING_BACK || s->rollout == ROLLOUT_ROLLBACK_PAUSED;
    bool paused = s->rollout == ROLLOUT_PAUSED || s->rollout == ROLLOUT_ROLLBACK_PAUSED;
    bool going = s->rollout == ROLLOUT_UPDATING || s->rollout == ROLLOUT_ROLLING_BACK;
    if (resume ? !paused : !going) {
        api_fail_with(c, ERR_CONFLICT, "service %s.%s: there is no rollout that is %s", s->stack,
                      s->name, resume ? "paused" : "under way");
        return;
    }
    enum rollout_state state = back     ? resume ? ROLLOUT_ROLLING_BACK : ROLLOUT_ROLLBACK_PAUSED
                               : resume ? ROLLOUT_UPDATING
                                        : ROLLOUT_PAUSED;
    struct change_rollout_set change = {.service_id = s->id,
                                        .revision = s->revision,
                                        .state = state,
                                        .message = (char *)(uintptr_t) "by hand"};
    api_propose(c, CHANGE_ROLLOUT_SET, &change);
}

static void cancel_run(struct api_call *c, const struct service *s, int64_t number)
{
    struct job_run *runs;
    size_t n;
    size_t found = 0;
    struct change_job_end change = {.state = JOB_CANCELED,
                                    .message = (char *)(uintptr_t) "by hand"};
    store_list(c->daemon->store, TABLE_JOB_RUN, BY_SERVICE_ID, s->id, &runs, &n);
    for (size_t i = 0; i < n; i++) {
        if (runs[i].state != JOB_RUNNING || (number && runs[i].number != number))
            continue;
        change.job_id = runs[i].id;
        found++;
    }
    record_free_list(&job_run_type, runs, n);
    if (found == 1)
        api_propose(c, CHANGE_JOB_END, &change);
    else if (found == 0)
        api_fail_with(c, ERR_NOTFOUND, "no run of %s.%s is under way", s->stack, s->name);
    else
        api_fail_with(c, ERR_INVALID,
                      "%zu runs of %s.%s are under way: say which ('wherry job runs %s.%s')", found,
                      s->stack, s->name, s->stack, s->name);
}

static void act(struct api_call *c, const struct service_act_request *r, const struct service *s)
{
    const char *action = str_or_empty(r->action);
    struct change_service_stop stop = {.stack = s->stack, .service = s->name};
    struct change_service_restart restart = {.stack = s->stack, .service = s->name};
    struct change_service_retire retire = {.stack = s->stack, .service = s->name};
    struct change_service_rollback back = {.stack = s->stack,
                                           .service = s->name,
                                           .expected_revision = s->revision,
                                           .revision = r->revision};
    if (strcmp(action, "stop") == 0 || strcmp(action, "start") == 0) {
        stop.start = strcmp(action, "start") == 0;
        api_propose(c, CHANGE_SERVICE_STOP, &stop);
    } else if (strcmp(action, "restart") == 0) {
        api_propose(c, CHANGE_SERVICE_RESTART, &restart);
    } else if (strcmp(action, "remove") == 0) {
        api_propose(c, CHANGE_SERVICE_RETIRE, &retire);
    } else if (strcmp(action, "back") == 0) {
        api_propose(c, CHANGE_SERVICE_ROLLBACK, &back);
    } else if (strcmp(action, "run") == 0) {
        struct change_job_start start = {.service_id = s->id,
                                         .service_index = s->modified_index,
                                         .cause = (char *)(uintptr_t) "by hand"};
        api_propose(c, CHANGE_JOB_START, &start);
    } else if (strcmp(action, "cancel") == 0) {
        cancel_run(c, s, r->revision);
    } else if (strcmp(action, "pause") == 0 || strcmp(action, "resume") == 0) {
        set_rollout(c, s, strcmp(action, "resume") == 0);
    } else {
        api_fail_with(c, ERR_INVALID, "'%.40s' is nothing that can be done to a service", action);
    }
}

void api_service_act(struct api_call *c, const void *request)
{
    const struct service_act_request *r = request;
    struct service service;
    if (!find_service(c, str_or_empty(r->name), &service))
        return;
    act(c, r, &service);
    record_release(&service_type, &service);
}

/* --- history ---------------------------------------------------------------------------------- */

static void add_revision(struct history_reply *reply, int64_t number, int64_t made_ms,
                         const char *cause, const struct spec *spec)
{
    struct revision_info *info = &reply->revisions[reply->revisions_n];
    *info = (struct revision_info){.revision = number,
                                   .made_ms = made_ms,
                                   .cause = str_copy(str_or_empty(cause)),
                                   .image = str_copy(str_or_empty(spec->image)),
                                   .state = str_copy("")};
    record_copy(&spec_type, spec, &info->spec);
    if (reply->revisions_n++ > 0) {
        struct buf changes = BUF_INIT;
        spec_differences(&info[-1].spec, spec, &changes);
        info->changes = buf_take(&changes);
    }
}

void api_service_history(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct service s;
    struct revision *rows;
    size_t n;
    if (!find_service(c, str_or_empty(r->name), &s))
        return;
    store_list(c->daemon->store, TABLE_REVISION, BY_SERVICE_ID, s.id, &rows, &n);
    struct history_reply reply = {.name = str_printf("%s.%s", s.stack, s.name),
                                  .revisions = mem_alloc(n + 1, sizeof(*reply.revisions))};
    for (size_t i = 0; i < n; i++)
        add_revision(&reply, rows[i].revision, rows[i].revision_ms, rows[i].cause, &rows[i].spec);
    add_revision(&reply, s.revision, s.revision_ms ? s.revision_ms : s.updated_ms, s.cause,
                 &s.spec);
    struct revision_info *newest = &reply.revisions[reply.revisions_n - 1];
    newest->current = true;
    free(newest->state);
    newest->state = str_copy(rollout_state_names[s.rollout]);
    api_reply(c, &reply);
    record_release(&history_reply_type, &reply);
    record_free_list(&revision_type, rows, n);
    record_release(&service_type, &s);
}

/* --- move ------------------------------------------------------------------------------------- */

/* The task of that slot that is meant to run, 0: there is none. */
static int64_t task_of(struct store *store, const struct object_name *name)
{
    struct task *tasks;
    size_t n;
    int64_t id = 0;
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(tasks[i].stack, name->stack) && str_equal(tasks[i].service, name->service) &&
            tasks[i].slot == name->slot && tasks[i].desired == DESIRED_RUN)
            id = tasks[i].id;
    record_free_list(&task_type, tasks, n);
    return id;
}

static void move(struct api_call *c, const struct task_move_request *r,
                 const struct object_name *name)
{
    struct store *store = c->daemon->store;
    struct change_task_move change = {.node_id = -1, .reason = (char *)(uintptr_t) "by hand"};
    struct node node;
    if (!name->service || name->slot == 0) {
        api_fail_with(c, ERR_INVALID, "'%.60s' is not a task: STACK.SERVICE.SLOT is", r->name);
        return;
    }
    change.task_id = caller_sees(&c->caller, name->stack) ? task_of(store, name) : 0;
    if (change.task_id == 0) {
        api_fail_with(c, ERR_NOTFOUND, "there is no task '%.60s' that is to run", r->name);
        return;
    }
    if (*str_or_empty(r->node)) {
        if (store_find(store, TABLE_NODE, r->node, &node) < 0) {
            api_fail_with(c, ERR_NOTFOUND, "there is no member '%.60s'", r->node);
            return;
        }
        change.node_id = node.id;
        record_release(&node_type, &node);
    }
    api_propose(c, CHANGE_TASK_MOVE, &change);
}

void api_task_move(struct api_call *c, const void *request)
{
    const struct task_move_request *r = request;
    struct object_name name;
    struct err err = {0};
    if (object_name_parse(str_or_empty(r->name), &name, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    move(c, r, &name);
    object_name_release(&name);
}
