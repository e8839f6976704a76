/* SPDX-License-Identifier: Apache-2.0 */
#include "node/foresee.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/leader.h"
#include "node/steps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANGE_ROOM = 64, /* what a batch needs besides its changes */
    ROUNDS_MAX = 20000,
    WORK_MAX = 4000000, /* tasks looked at, over all rounds: some seconds */
    ROUND_MS = 1000,    /* that pass in each */
    TASKS_MAX = 20000,  /* of clusters with more nothing is foreseen */
    BATCH_MAX = 1000,   /* changes in one */
};

int foresee_copy(struct store *store, struct store **ret_copy, struct err *err)
{
    cleanup_buf struct buf state = BUF_INIT;
    struct store *copy = store_new();
    store_snapshot(store, &state);
    int rv = store_restore(copy, state.data, state.len, err);
    if (rv < 0)
        store_free(copy);
    else
        *ret_copy = copy;
    return rv;
}

int foresee_apply(struct store *copy, int64_t now_ms, enum change_kind kind, const void *body,
                  struct err *err)
{
    cleanup_buf struct buf encoded = BUF_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results = NULL;
    size_t n = 0;
    struct change change = {.kind = kind, .body = (void *)(uintptr_t)body};
    change_encode(&change, &encoded);
    if (encoded.len > BATCH_BYTES_MAX - CHANGE_ROOM)
        return err_set(err, ERR_TOOBIG, "the change is larger than one entry may be (1 MiB)");
    batch_encode(now_ms, &encoded, 1, &batch);
    int rv = store_apply(copy, store_index(copy) + 1, batch.data, batch.len, &results, &n, err);
    if (rv == 0 && results[0].err.code != 0) {
        *err = results[0].err;
        rv = err->code;
    }
    free(results);
    return rv;
}

/* --- until it is at rest ------------------------------------------------------------------------
 */

/* Steps, all in one batch: each is refused or done as it would be. */
static void apply_steps(struct store *copy, int64_t now_ms, const struct plan *plan)
{
    for (size_t at = 0; at < plan->steps_n; at += BATCH_MAX) {
        size_t n = plan->steps_n - at < BATCH_MAX ? plan->steps_n - at : BATCH_MAX;
        struct buf *encoded = mem_alloc(n, sizeof(*encoded));
        cleanup_buf struct buf batch = BUF_INIT;
        struct change_result *results = NULL;
        size_t results_n = 0;
        struct err err;
        for (size_t i = 0; i < n; i++) {
            struct step_change c;
            step_to_change(&plan->steps[at + i], &c);
            change_encode(&(struct change){.kind = c.kind, .body = &c.body}, &encoded[i]);
        }
        batch_encode(now_ms, encoded, n, &batch);
        store_apply(copy, store_index(copy) + 1, batch.data, batch.len, &results, &results_n, &err);
        free(results);
        for (size_t i = 0; i < n; i++)
            buf_release(&encoded[i]);
        free(encoded);
    }
}

/* What a member that does all at once and well says of @task next. False: nothing new. */
static bool next_word(const struct view *view, const struct task *task, struct task_observation *o)
{
    bool job = false;
    for (size_t i = 0; i < view->services_n; i++)
        if (view->services[i].id == task->service_id)
            job = mode_is_job(view->services[i].spec.mode);
    *o = (struct task_observation){.task_id = task->id,
                                   .state = TASK_RUNNING,
                                   .health = HEALTH_HEALTHY,
                                   .run = task->run > 0 ? task->run : 1,
                                   .sequence = task->sequence + 1,
                                   .state_ms = view->now_ms};
    if (task_is_terminal(task->state))
        return false;
    if (task->desired == DESIRED_END) {
        o->state = TASK_ENDED;
        o->run = task->run;
        return true;
    }
    if (task->desired == DESIRED_READY) {
        o->state = TASK_WAITING;
        o->run = 0;
        o->ready = true;
        o->health = HEALTH_NONE;
        return !task->ready;
    }
    if (job && task->state == TASK_RUNNING) {
        o->state = TASK_COMPLETE;
        return true;
    }
    /* One that has failed goes on failing. */
    bool begins = task->state == TASK_NEW || task->state == TASK_FETCHING ||
                  task->state == TASK_CREATING || task->state == TASK_STARTING ||
                  (task->state == TASK_WAITING && task->run == 0 && task->attempts == 0);
    return begins || (task->state == TASK_RUNNING && task->health == HEALTH_STARTING);
}

static bool is_up(const struct view *view, int64_t node_id)
{
    for (size_t i = 0; i < view->nodes_n; i++)
        if (view->nodes[i].id == node_id)
            return view->nodes[i].status == NODE_UP;
    return false;
}

/* Returns true when something was said. */
static bool report_all(struct store *copy, const struct view *view)
{
    struct task_observation *list = mem_alloc(view->tasks_n, sizeof(*list));
    bool any = false;
    for (size_t k = 0; k < view->nodes_n; k++) {
        struct change_task_report report = {.node_id = view->nodes[k].id, .observations = list};
        struct err err;
        if (!is_up(view, report.node_id))
            continue;
        for (size_t i = 0; i < view->tasks_n; i++)
            if (view->tasks[i].node_id == report.node_id &&
                next_word(view, &view->tasks[i], &list[report.observations_n]))
                report.observations_n++;
        if (report.observations_n > 0)
            any |= foresee_apply(copy, view->now_ms, CHANGE_TASK_REPORT, &report, &err) == 0;
    }
    free(list);
    return any;
}

/* One round; returns true when anything happened, or will by the clock. The last plan's slots that
 * wait are told to @reply. */
static bool one_round(struct store *copy, int64_t *now_ms, size_t *work)
{
    struct view view;
    struct plan plan = {0};
    view_read(copy, *now_ms, &view);
    view.no_rebalance = true;
    scheduler_plan(&view, &plan);
    *work += view.tasks_n + 1;
    bool busy = plan.steps_n > 0;
    apply_steps(copy, *now_ms, &plan);
    busy = report_all(copy, &view) || busy;
    *now_ms += ROUND_MS;
    if (!busy && plan.wake_ms > 0) {
        *now_ms = plan.wake_ms > *now_ms ? plan.wake_ms : *now_ms;
        busy = true;
    }
    plan_release(&plan);
    view_release(&view);
    return busy;
}

static bool settle(struct store *copy, int64_t *now_ms)
{
    size_t work = 0;
    for (int i = 0; i < ROUNDS_MAX && work < WORK_MAX; i++)
        if (!one_round(copy, now_ms, &work))
            return true;
    return false;
}

/* --- what became of it -------------------------------------------------------------------------
 */

static bool is_meant(const struct task *t)
{
    return t->desired == DESIRED_RUN && t->state != TASK_COMPLETE && t->state != TASK_FAILED;
}

static bool is_of(const struct task *t, const char *stack)
{
    return !stack || str_equal(t->stack, stack);
}

static const char *node_name(const struct view *view, int64_t id)
{
    for (size_t i = 0; i < view->nodes_n; i++)
        if (view->nodes[i].id == id)
            return str_or_empty(view->nodes[i].name);
    return "";
}

/* The task of @t's slot in @view that is meant to run, or NULL. */
static const struct task *in_slot(const struct view *view, const struct task *t)
{
    for (size_t i = 0; i < view->tasks_n; i++) {
        const struct task *other = &view->tasks[i];
        if (other->service_id == t->service_id && other->slot == t->slot &&
            other->desired == DESIRED_RUN && (is_meant(other) || other->id > t->id))
            return other;
    }
    return NULL;
}

static void add(struct plan_reply *reply, const char *action, const struct task *t,
                const char *node, char *detail)
{
    reply->items = mem_resize(reply->items, reply->items_n + 1, sizeof(*reply->items));
    reply->items[reply->items_n++] = (struct plan_item){
        .action = str_copy(action),
        .object = str_printf("%s.%s.%" PRId64, t->stack, t->service, t->slot),
        .node = str_copy(node),
        .detail = detail,
    };
}

/* Slots that had a task: it stays, is replaced, moves or ends. */
static void tell_old(const struct view *before, const struct view *after, const char *stack,
                     struct plan_reply *reply)
{
    for (size_t i = 0; i < before->tasks_n; i++) {
        const struct task *t = &before->tasks[i];
        if (!is_meant(t) || !is_of(t, stack))
            continue;
        const struct task *now = in_slot(after, t);
        const char *from = node_name(before, t->node_id);
        if (!now)
            add(reply, "stop", t, from, str_copy(""));
        else if (now->id != t->id && now->node_id == t->node_id)
            add(reply, "replace", t, from, str_copy(""));
        else if (now->id != t->id)
            add(reply, "move", t, node_name(after, now->node_id), str_printf("from %s", from));
    }
}

static bool had_task(const struct view *before, const struct task *t)
{
    for (size_t i = 0; i < before->tasks_n; i++)
        if (is_meant(&before->tasks[i]) && before->tasks[i].service_id == t->service_id &&
            before->tasks[i].slot == t->slot)
            return true;
    return false;
}

static bool is_new(const struct view *before, const struct task *t)
{
    for (size_t i = 0; i < before->tasks_n; i++)
        if (before->tasks[i].id == t->id)
            return false;
    return true;
}

static void tell_new(const struct view *before, const struct view *after, const char *stack,
                     struct plan_reply *reply)
{
    for (size_t i = 0; i < after->tasks_n; i++) {
        const struct task *t = &after->tasks[i];
        if (t->desired == DESIRED_RUN && is_of(t, stack) && is_new(before, t) &&
            !had_task(before, t))
            add(reply, "place", t, node_name(after, t->node_id), str_copy(""));
    }
}

static void tell_waiting(const struct view *after, const char *stack, struct plan_reply *reply)
{
    struct plan plan = {0};
    scheduler_plan(after, &plan);
    for (size_t i = 0; i < plan.unplaced_n; i++) {
        const struct unplaced *u = &plan.unplaced[i];
        struct buf why = BUF_INIT;
        for (size_t k = 0; k < after->services_n; k++) {
            const struct service *s = &after->services[k];
            if (s->id != u->service_id || (stack && !str_equal(s->stack, stack)))
                continue;
            unplaced_explain(u, &why);
            const struct task t = {.stack = s->stack, .service = s->name, .slot = u->slot};
            add(reply, "wait", &t, "", buf_take(&why));
        }
    }
    plan_release(&plan);
}

bool foresee_tasks(struct store *before, struct store *copy, const char *stack,
                   struct plan_reply *reply)
{
    struct view old, new;
    int64_t now_ms = store_time_ms(copy);
    if (store_count(copy, TABLE_TASK) > TASKS_MAX)
        return false;
    bool rests = settle(copy, &now_ms);
    view_read(before, store_time_ms(before), &old);
    view_read(copy, now_ms, &new);
    new.no_rebalance = true;
    tell_old(&old, &new, stack, reply);
    tell_new(&old, &new, stack, reply);
    tell_waiting(&new, stack, reply);
    view_release(&old);
    view_release(&new);
    return rests;
}
