/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of jobs: begun, ended, and how many of those that are over are kept. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

void runs_take_over(struct apply *apply, const struct service *service)
{
    struct job_run *runs;
    size_t n;
    store_list(apply->store, TABLE_JOB_RUN, BY_SERVICE_ID, service->id, &runs, &n);
    for (size_t i = 0; i < n; i++) {
        if (runs[i].revision != service->revision - 1)
            continue;
        runs[i].revision = service->revision;
        apply_put(apply, TABLE_JOB_RUN, &runs[i]);
    }
    record_free_list(&job_run_type, runs, n);
}

void runs_delete(struct apply *apply, int64_t service_id)
{
    struct job_run *runs;
    size_t n;
    store_list(apply->store, TABLE_JOB_RUN, BY_SERVICE_ID, service_id, &runs, &n);
    for (size_t i = 0; i < n; i++)
        apply_delete(apply, TABLE_JOB_RUN, runs[i].id);
    record_free_list(&job_run_type, runs, n);
}

/* Forget the oldest runs that are over; the leader does away with their tasks. */
static void trim(struct apply *apply, const struct service *service)
{
    struct job_run *runs;
    size_t n;
    int64_t keep = service->spec.job.history ? service->spec.job.history : JOB_HISTORY_DEFAULT;
    int64_t over = 0;
    store_list(apply->store, TABLE_JOB_RUN, BY_SERVICE_ID, service->id, &runs, &n);
    for (size_t i = 0; i < n; i++)
        over += runs[i].state != JOB_RUNNING;
    for (size_t i = 0; i < n && over > keep; i++) {
        if (runs[i].state == JOB_RUNNING)
            continue;
        apply_delete(apply, TABLE_JOB_RUN, runs[i].id);
        over--;
    }
    record_free_list(&job_run_type, runs, n);
}

/* Tasks of before there were runs are of the first one: what completed is not done again. */
static void adopt_tasks(struct apply *apply, const struct service *service, int64_t job_id)
{
    struct task *tasks;
    size_t n;
    store_list(apply->store, TABLE_TASK, BY_SERVICE_ID, service->id, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].job_id != 0 || tasks[i].desired != DESIRED_RUN ||
            tasks[i].revision != service->revision)
            continue;
        tasks[i].job_id = job_id;
        apply_put(apply, TABLE_TASK, &tasks[i]);
    }
    record_free_list(&task_type, tasks, n);
}

static int64_t active(struct apply *apply, int64_t service_id)
{
    struct job_run *runs;
    size_t n;
    int64_t active = 0;
    store_list(apply->store, TABLE_JOB_RUN, BY_SERVICE_ID, service_id, &runs, &n);
    for (size_t i = 0; i < n; i++)
        active += runs[i].state == JOB_RUNNING;
    record_free_list(&job_run_type, runs, n);
    return active;
}

static int check_start(struct apply *apply, const struct service *service,
                       const struct change_job_start *change, struct err *err)
{
    cleanup_free char *title = service_title(service);
    if (!mode_is_job(service->spec.mode))
        return err_set(err, ERR_INVALID,
                       "service %s is no job: its mode is %s, and not replicated-job or global-job",
                       title, service_mode_names[service->spec.mode]);
    if (service->removed)
        return err_set(err, ERR_CONFLICT, "service %s is being removed", title);
    if (service->stopped)
        return err_set(err, ERR_CONFLICT, "service %s is stopped ('wherry start %s')", title,
                       title);
    if (service->modified_index != change->service_index)
        return err_set(err, ERR_CONFLICT,
                       "service %s changed at %" PRId64 ", the run was planned from %" PRId64,
                       title, service->modified_index, change->service_index);
    if (!change->skip && active(apply, service->id) >= JOB_ACTIVE_MAX)
        return err_set(err, ERR_CONFLICT, "service %s: %d runs are under way, which is the most",
                       title, JOB_ACTIVE_MAX);
    return 0;
}

/* Of runs that are skipped one after the other the last is kept: they must not drive out the
 * others. */
static void forget_skipped(struct apply *apply, int64_t service_id)
{
    struct job_run *runs;
    size_t n;
    store_list(apply->store, TABLE_JOB_RUN, BY_SERVICE_ID, service_id, &runs, &n);
    if (n > 0 && runs[n - 1].state == JOB_SKIPPED)
        apply_delete(apply, TABLE_JOB_RUN, runs[n - 1].id);
    record_free_list(&job_run_type, runs, n);
}

static void start(struct apply *apply, struct service *service,
                  const struct change_job_start *change)
{
    cleanup_free char *title = service_title(service);
    struct job_run run = {.id = apply_next_id(apply),
                          .service_id = service->id,
                          .number = ++service->runs,
                          .revision = service->revision,
                          .scheduled_ms = change->scheduled_ms,
                          .started_ms = apply->now_ms,
                          .ended_ms = change->skip ? apply->now_ms : 0,
                          .state = change->skip ? JOB_SKIPPED : JOB_RUNNING,
                          .cause = change->cause,      /* borrowed, */
                          .message = change->message}; /* likewise */
    if (change->scheduled_ms > service->scheduled_ms)
        service->scheduled_ms = change->scheduled_ms;
    if (change->skip)
        forget_skipped(apply, service->id);
    apply_put(apply, TABLE_JOB_RUN, &run);
    apply_put(apply, TABLE_SERVICE, service);
    if (run.number == 1 && !change->skip)
        adopt_tasks(apply, service, run.id);
    const char *message = str_or_empty(change->message);
    if (change->skip)
        apply_event(apply, "job", title, "run %" PRId64 " skipped%s%.150s", run.number,
                    *message ? ": " : "", message);
    else
        apply_event(apply, "job", title, "run %" PRId64 " begins: %.150s", run.number,
                    str_or_empty(change->cause));
    trim(apply, service);
    apply->made = run.id;
}

int apply_job_start(struct apply *apply, const struct change_job_start *change, struct err *err)
{
    struct service service;
    if (store_get(apply->store, TABLE_SERVICE, change->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %" PRId64 " does not exist", change->service_id);
    int rv = check_start(apply, &service, change, err);
    if (rv == 0)
        start(apply, &service, change);
    record_release(&service_type, &service);
    return rv;
}

static void end(struct apply *apply, struct job_run *run, const struct change_job_end *change)
{
    struct service service;
    const char *message = str_or_empty(change->message);
    run->state = change->state;
    run->ended_ms = apply->now_ms;
    free(run->message);
    run->message = str_copy(message);
    apply_put(apply, TABLE_JOB_RUN, run);
    if (store_get(apply->store, TABLE_SERVICE, run->service_id, &service) < 0)
        return;
    cleanup_free char *title = service_title(&service);
    apply_event(apply, "job", title, "run %" PRId64 " %s%s%.150s", run->number,
                job_state_names[run->state], *message ? ": " : "", message);
    trim(apply, &service);
    record_release(&service_type, &service);
}

int apply_job_end(struct apply *apply, const struct change_job_end *change, struct err *err)
{
    struct job_run run;
    if (store_get(apply->store, TABLE_JOB_RUN, change->job_id, &run) < 0)
        return err_set(err, ERR_NOTFOUND, "run %" PRId64 " does not exist", change->job_id);
    int rv = 0;
    apply->made = run.id;
    if (change->state == JOB_RUNNING)
        rv = err_set(err, ERR_INVALID, "run %" PRId64 " cannot be made to run again", run.number);
    else if (run.state == JOB_RUNNING)
        end(apply, &run, change);
    record_release(&job_run_type, &run);
    return rv;
}
