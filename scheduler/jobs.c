/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/jobs.h"

#include "scheduler/depends.h"
#include "scheduler/patience.h"
#include "scheduler/place.h"
#include "scheduler/slots.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE_MS = 5000, /* later than this a run was missed, even where nothing is made up for */
};

/* What is in a slot of a run. */
struct seat {
    int64_t id;              /* of the slot */
    const struct task *task; /* meant to run, or done */
    bool wanted;
    bool blocked; /* a former task has yet to stop, or its node is waited for */
};

/* A run, while it is looked at. */
struct round {
    struct planner *planner;
    const struct service_tasks *service;
    struct placement *placement;
    const struct job_run *run;
    struct seat *seats;
    size_t n;
    int64_t completed;
    int64_t active;
    const struct task *failed;
};

static const struct service *service_of(const struct round *r)
{
    return r->service->service;
}

static bool is_global(const struct round *r)
{
    return service_of(r)->spec.mode == MODE_GLOBAL_JOB;
}

/* --- seats ------------------------------------------------------------------------------------ */

static void list_seats(struct round *r)
{
    const struct view *view = r->planner->view;
    const struct spec *spec = &service_of(r)->spec;
    int64_t replicas = spec->replicas > 0 ? spec->replicas : 0;
    if (replicas > SERVICE_SLOTS_MAX)
        replicas = SERVICE_SLOTS_MAX;
    r->n = is_global(r) ? view->nodes_n : (size_t)replicas;
    r->seats = mem_alloc(r->n, sizeof(*r->seats));
    for (size_t i = 0; i < r->n; i++) {
        struct seat *seat = &r->seats[i];
        const struct node *node = is_global(r) ? &view->nodes[i] : NULL;
        seat->id = node ? node->id : (int64_t)i + 1;
        seat->wanted =
            !node ||
            (!node->witness && node->status == NODE_UP && node->availability == AVAILABLE_ACTIVE &&
             filter_platform(spec->platform, node) && filter_constraints(spec, node));
    }
}

static struct seat *seat_of(const struct round *r, const struct task *task)
{
    size_t place = (size_t)task->slot - 1;
    if (is_global(r) && !lookup_node(&r->planner->lookup, task->slot, &place))
        return NULL;
    return task->slot >= 1 && place < r->n ? &r->seats[place] : NULL;
}

/* @task is meant to run on @node and has not ended. */
static void seat_live(struct round *r, struct seat *seat, const struct task *task,
                      const struct node *node)
{
    struct planner *planner = r->planner;
    const struct service *service = service_of(r);
    if (node->status != NODE_UP && is_global(r)) {
        seat->blocked = true; /* the run waits for its node */
        struct unplaced *unplaced = planner_unplaced(planner, service, seat->id);
        snprintf(unplaced->waits_for, sizeof(unplaced->waits_for), "node %.60s, which is down",
                 str_or_empty(node->name));
    } else if (node->status != NODE_UP) {
        if (patience_holds(planner, service, task, node))
            seat->blocked = true;
        else
            planner_end(planner, service, task, "node %s is down", str_or_empty(node->name));
    } else if (node->availability == AVAILABLE_DRAIN) {
        planner_end(planner, service, task, "node %s is draining", str_or_empty(node->name));
        seat->blocked = true;
    } else {
        seat->task = task;
        r->active++;
        return;
    }
    seat->wanted = true;
}

static void seat_task(struct round *r, const struct task *task, const struct node *node)
{
    struct planner *planner = r->planner;
    const struct service *service = service_of(r);
    struct seat *seat = seat_of(r, task);
    bool over = task_is_terminal(task->state);
    if (task->state == TASK_COMPLETE && seat && !seat->task) {
        seat->task = task;
        seat->wanted = true;
        r->completed++;
    } else if (!seat || seat->task) {
        planner_end(planner, service, task, seat ? "its slot has another task" : "scaled down");
    } else if (task->state == TASK_FAILED) {
        r->failed = task;
        seat->task = task;
    } else if (over) {
        planner_end(planner, service, task, "it ended");
    } else {
        seat_live(r, seat, task, node);
    }
}

/* Put @task of the run where it belongs, or dispose of it. */
static void sort_task(struct round *r, const struct task *task)
{
    struct planner *planner = r->planner;
    const struct service *service = service_of(r);
    bool under_way = r->run && r->run->state == JOB_RUNNING;
    bool over = task_is_terminal(task->state);
    size_t place;
    if (!lookup_node(&planner->lookup, task->node_id, &place)) {
        bool proof = task->state == TASK_COMPLETE && task->desired == DESIRED_RUN;
        if (under_way && proof)
            seat_task(r, task, NULL);
        else if (!r->run || !proof)
            planner_remove(planner, service, task, true);
        return;
    }
    const struct node *node = &planner->view->nodes[place];
    if (task->desired == DESIRED_END) {
        struct seat *seat = under_way ? seat_of(r, task) : NULL;
        if (over)
            planner_remove(planner, service, task, false);
        else if (seat && node->status == NODE_UP)
            seat->blocked = true;
    } else if (under_way) {
        seat_task(r, task, node);
    } else if (!r->run) {
        planner_end(planner, service, task, "its run is forgotten");
    } else if (!over) {
        planner_end(planner, service, task, "its run is over: %s", job_state_names[r->run->state]);
    }
}

/* --- the end of a run ------------------------------------------------------------------------- */

static bool ends(struct round *r)
{
    struct planner *planner = r->planner;
    const struct service *service = service_of(r);
    int64_t now_ms = planner->view->now_ms;
    int64_t deadline_ms = service->spec.job.deadline_ms;
    int64_t wanted = 0;
    char reason[sizeof(((struct step *)0)->reason)] = "";
    for (size_t i = 0; i < r->n; i++)
        wanted += r->seats[i].wanted;
    bool all = r->completed >= wanted && (wanted > 0 || !is_global(r));
    enum job_state state = JOB_FAILED;
    if (service->stopped) {
        state = JOB_CANCELED;
        snprintf(reason, sizeof(reason), "service stopped");
    } else if (r->failed) {
        const char *message = str_or_empty(r->failed->message);
        snprintf(reason, sizeof(reason), "%.40s.%.40s.%" PRId64 " gave up: %.60s",
                 str_or_empty(service->stack), str_or_empty(service->name), r->failed->slot,
                 *message ? message : "it failed");
    } else if (all) {
        state = JOB_SUCCEEDED;
    } else if (deadline_ms > 0 && now_ms - r->run->started_ms >= deadline_ms) {
        snprintf(reason, sizeof(reason), "it took longer than its deadline of %" PRId64 " s",
                 deadline_ms / 1000);
    } else {
        if (deadline_ms > 0)
            planner_wake(planner, r->run->started_ms + deadline_ms);
        return false;
    }
    planner_job_end(planner, service, r->run, state, reason);
    return true;
}

/* --- what is missing -------------------------------------------------------------------------- */

static void explain_no_node(struct round *r)
{
    const struct ledger *ledger = &r->planner->ledger;
    struct unplaced *unplaced = planner_unplaced(r->planner, service_of(r), 0);
    unplaced->nodes = (int64_t)ledger->n;
    for (size_t i = 0; i < ledger->n; i++) {
        enum refusal refusal = filter_node(&r->placement->demand, &ledger->nodes[i]);
        if (refusal != REFUSED_MAX)
            unplaced->refused[refusal]++;
    }
}

static void fill_seat(struct round *r, const struct seat *seat)
{
    int64_t refused[REFUSED_MAX] = {0};
    int64_t node_id = seat->id;
    bool found = is_global(r) ? placement_take_on(r->placement, seat->id, refused)
                              : placement_take(r->placement, &node_id);
    if (found) {
        planner_create_of(r->planner, service_of(r), r->run, seat->id, node_id);
        r->active++;
        return;
    }
    struct unplaced *unplaced = planner_unplaced(r->planner, service_of(r), seat->id);
    unplaced->nodes = is_global(r) ? 1 : (int64_t)r->planner->view->nodes_n;
    memcpy(unplaced->refused, is_global(r) ? refused : r->placement->refused,
           sizeof(unplaced->refused));
}

static void fill(struct round *r)
{
    const struct spec *spec = &service_of(r)->spec;
    int64_t limit = spec->job.parallelism > 0 ? spec->job.parallelism : INT64_MAX;
    char waits_for[WAITS_FOR_BYTES] = "";
    bool any = false;
    bool may_start =
        !filter_home_is_away(&r->planner->lookup, spec, waits_for, sizeof(waits_for)) &&
        depends_let_start(&r->planner->lookup, r->service, waits_for);
    for (size_t i = 0; i < r->n; i++) {
        struct seat *seat = &r->seats[i];
        any |= seat->wanted;
        if (!seat->wanted || seat->task || seat->blocked || r->active >= limit)
            continue;
        if (may_start) {
            fill_seat(r, seat);
            continue;
        }
        struct unplaced *unplaced = planner_unplaced(r->planner, service_of(r), seat->id);
        str_fill(unplaced->waits_for, sizeof(unplaced->waits_for), waits_for);
    }
    if (!any)
        explain_no_node(r);
}

/* Returns true when the run goes on. */
static bool plan_run(struct planner *planner, const struct service_tasks *service,
                     struct placement *placement, const struct job_run *run)
{
    struct round r = {.planner = planner, .service = service, .placement = placement, .run = run};
    bool under_way = run && run->state == JOB_RUNNING;
    int64_t job_id = run ? run->id : 0;
    if (under_way)
        list_seats(&r);
    for (size_t i = 0; i < service->n; i++)
        if (service->tasks[i]->job_id == job_id)
            sort_task(&r, service->tasks[i]);
    bool goes_on = under_way && !ends(&r);
    if (goes_on)
        fill(&r);
    free(r.seats);
    return goes_on;
}

/* --- the beginning of one --------------------------------------------------------------------- */

static int compare_dues(const void *key, const void *element)
{
    int64_t id = *(const int64_t *)key;
    const struct due *due = element;
    return (id > due->service_id) - (id < due->service_id);
}

static void cancel_all(struct planner *planner, const struct service *service, const char *reason)
{
    size_t n;
    const struct job_run **runs = lookup_runs(&planner->lookup, service, &n);
    for (size_t i = 0; i < n; i++)
        if (runs[i]->state == JOB_RUNNING)
            planner_job_end(planner, service, runs[i], JOB_CANCELED, reason);
}

/* @due has come: @active runs are under way. */
static void begin_due(struct planner *planner, const struct service *service, const struct due *due,
                      int64_t active)
{
    const struct job_spec *job = &service->spec.job;
    int64_t late_ms = planner->view->now_ms - due->at_ms;
    int64_t limit_ms = job->catch_up_ms < 0    ? AT_ONCE_MS
                       : job->catch_up_ms == 0 ? CATCH_UP_DEFAULT_MS
                                               : job->catch_up_ms;
    char reason[sizeof(((struct step *)0)->reason)];
    if (late_ms > limit_ms) {
        snprintf(reason, sizeof(reason),
                 "nobody was there to begin it, and it is %" PRId64 " s late", late_ms / 1000);
        planner_job_skip(planner, service, due->at_ms, reason);
        return;
    }
    if (active > 0 && job->concurrency == CONCURRENCY_FORBID) {
        planner_job_skip(planner, service, due->at_ms, "the run before is still under way");
        return;
    }
    if (active > 0 && job->concurrency == CONCURRENCY_REPLACE)
        cancel_all(planner, service, "the next run is due");
    else if (active >= JOB_ACTIVE_MAX) {
        planner_job_skip(planner, service, due->at_ms, "too many runs are under way");
        return;
    }
    planner_job_start(planner, service, due->at_ms, "schedule");
}

static void begin_next(struct planner *planner, const struct service *service, int64_t active)
{
    const struct view *view = planner->view;
    const struct due *due = view->dues_n ? bsearch(&service->id, view->dues, view->dues_n,
                                                   sizeof(*view->dues), compare_dues)
                                         : NULL;
    if (service->stopped)
        return;
    if (*str_or_empty(service->spec.job.schedule)) {
        if (due && due->at_ms != 0)
            begin_due(planner, service, due, active);
        if (due && due->next_ms != INT64_MAX)
            planner_wake(planner, due->next_ms);
        return;
    }
    const struct job_run *last = lookup_last_run(&planner->lookup, service);
    if (last && last->revision == service->revision)
        return;
    cancel_all(planner, service, "a new revision runs");
    planner_job_start(planner, service, 0, last ? "updated" : "deployed");
}

static bool is_known(const struct job_run *const *runs, size_t n, int64_t job_id)
{
    for (size_t i = 0; i < n; i++)
        if (runs[i]->id == job_id)
            return true;
    return false;
}

/* Tasks of runs that were forgotten, and of before there were runs. */
static void drop_strays(struct planner *planner, const struct service_tasks *service,
                        const struct job_run *const *runs, size_t n)
{
    struct round r = {.planner = planner, .service = service};
    for (size_t i = 0; i < service->n; i++) {
        const struct task *task = service->tasks[i];
        bool adoptable = n == 0 && task->job_id == 0;
        if (!adoptable && !is_known(runs, n, task->job_id))
            sort_task(&r, task);
    }
}

void jobs_plan(struct planner *planner, const struct service_tasks *service)
{
    struct placement placement;
    size_t n;
    int64_t active = 0;
    const struct job_run **runs = lookup_runs(&planner->lookup, service->service, &n);
    placement_init(&placement, planner, service);
    drop_strays(planner, service, runs, n);
    for (size_t i = 0; i < n; i++)
        active += plan_run(planner, service, &placement, runs[i]);
    begin_next(planner, service->service, active);
    placement_release(&placement);
}
