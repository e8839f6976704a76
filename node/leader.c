/* SPDX-License-Identifier: Apache-2.0 */
#include "node/leader.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/dues.h"
#include "node/outages.h"
#include "node/propose.h"
#include "node/steps.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

struct leader {
    struct daemon *daemon;
    struct dues *dues;
    struct outages *outages;
    uv_timer_t timer;
    bool ready;
    bool dirty;         /* something changed since the last round */
    size_t outstanding; /* steps of the last round that are not applied yet */
    bool refused;       /* one of them was refused */
    int64_t refusals;   /* rounds in a row with a refusal and no other change: each waits longer */
    void (*on_freed)(void *arg);
    void *free_arg;
};

enum {
    RELEVANT = 1U << TABLE_CLUSTER | 1U << TABLE_SERVICE | 1U << TABLE_TASK | 1U << TABLE_NODE |
               1U << TABLE_VOLUME | 1U << TABLE_JOB_RUN,
    SETTLE_MS = 5,
    RETRY_MS = 500,
    RETRY_DOUBLINGS_MAX = 5, /* 16 s */
    WAKE_MIN_MS = 20,
};

void view_read(struct store *store, int64_t now_ms, struct view *ret_view)
{
    struct view view = {
        .now_ms = now_ms, .level = store_level(store), .overlap = store_level(store) >= 2};
    struct cluster cluster;
    if (store_get(store, TABLE_CLUSTER, 1, &cluster) == 0) {
        view.no_rebalance = cluster.no_rebalance;
        record_release(&cluster_type, &cluster);
    }
    struct node *nodes;
    struct service *services;
    struct task *tasks;
    struct revision *revisions;
    struct volume *volumes;
    struct job_run *runs;
    store_list(store, TABLE_NODE, BY_NONE, 0, &nodes, &view.nodes_n);
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &view.services_n);
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &view.tasks_n);
    store_list(store, TABLE_REVISION, BY_NONE, 0, &revisions, &view.revisions_n);
    store_list(store, TABLE_VOLUME, BY_NONE, 0, &volumes, &view.volumes_n);
    store_list(store, TABLE_JOB_RUN, BY_NONE, 0, &runs, &view.runs_n);
    view.runs = runs;
    view.nodes = nodes;
    view.services = services;
    view.tasks = tasks;
    view.revisions = revisions;
    view.volumes = volumes;
    *ret_view = view;
}

static void free_rows(const struct record_type *type, const void *rows, size_t n)
{
    record_free_list(type, (void *)(uintptr_t)rows, n);
}

void view_release(struct view *view)
{
    free_rows(&node_type, view->nodes, view->nodes_n);
    free_rows(&service_type, view->services, view->services_n);
    free_rows(&task_type, view->tasks, view->tasks_n);
    free_rows(&revision_type, view->revisions, view->revisions_n);
    free_rows(&volume_type, view->volumes, view->volumes_n);
    free_rows(&job_run_type, view->runs, view->runs_n);
    memset(view, 0, sizeof(*view));
}

static void on_timer(uv_timer_t *timer);

static void ask_again(struct leader *l, int64_t in_ms)
{
    uv_timer_start(&l->timer, on_timer, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

static void on_step(void *arg, const struct change_result *result)
{
    struct leader *l = arg;
    l->outstanding--;
    int code = result->err.code;
    /* A late step is refused as it should be: the next round sees why. */
    if (code != 0 && code != ERR_CONFLICT && code != ERR_NOTFOUND && code != ERR_CANCELED &&
        code != ERR_NOTLEADER)
        log_warn("leader", "a step was refused: %s", result->err.msg);
    if (code != 0)
        l->refused = true;
    if (l->outstanding > 0 || !l->ready)
        return;
    if (l->dirty) {
        ask_again(l, SETTLE_MS);
    } else if (l->refused) {
        ask_again(l, RETRY_MS << l->refusals);
        l->refusals += l->refusals < RETRY_DOUBLINGS_MAX;
    }
}

static void propose_step(struct leader *l, const struct step *step)
{
    struct step_change c;
    step_to_change(step, &c);
    l->outstanding++;
    propose_change(l->daemon->propose, c.kind, &c.body, NULL, PROPOSE_TIMEOUT_MS, on_step, l);
}

static void on_timer(uv_timer_t *timer)
{
    struct leader *l = timer->data;
    if (!l->ready || l->outstanding > 0)
        return; /* on_step() asks again */
    l->dirty = false;
    l->refused = false;
    struct view view;
    struct plan plan = {0};
    int64_t now = daemon_now_ms(l->daemon);
    view_read(l->daemon->store, now, &view);
    dues_read(l->dues, &view, &view.dues, &view.dues_n);
    outages_read(l->outages, &view, clock_boot_ms());
    scheduler_plan(&view, &plan);
    for (size_t i = 0; i < plan.steps_n; i++)
        propose_step(l, &plan.steps[i]);
    if (plan.steps_n == 0 && plan.wake_ms > 0)
        ask_again(l, plan.wake_ms - now > WAKE_MIN_MS ? plan.wake_ms - now : WAKE_MIN_MS);
    plan_release(&plan);
    view_release(&view);
}

struct leader *leader_new(struct daemon *d)
{
    struct leader *l = mem_alloc(1, sizeof(*l));
    l->daemon = d;
    l->dues = dues_new();
    l->outages = outages_new();
    uv_timer_init(&d->loop, &l->timer);
    l->timer.data = l;
    return l;
}

static void on_closed(uv_handle_t *handle)
{
    struct leader *l = handle->data;
    void (*on_freed)(void *arg) = l->on_freed;
    void *arg = l->free_arg;
    dues_free(l->dues);
    outages_free(l->outages);
    free(l);
    on_freed(arg);
}

void leader_free(struct leader *l, void (*on_freed)(void *arg), void *arg)
{
    l->on_freed = on_freed;
    l->free_arg = arg;
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

void leader_on_leader(struct leader *l, bool ready)
{
    if (ready && !l->ready)
        outages_forget(l->outages);
    l->ready = ready;
    l->dirty = true; /* steps of an earlier term may still be out: then on_step() asks again */
    l->refusals = 0;
    if (ready)
        ask_again(l, 0);
    else
        uv_timer_stop(&l->timer);
}

void leader_on_change(struct leader *l, unsigned tables)
{
    if (!(tables & RELEVANT))
        return;
    l->dirty = true;
    l->refusals = 0;
    if (l->ready && l->outstanding == 0)
        ask_again(l, SETTLE_MS);
}
