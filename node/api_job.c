/* SPDX-License-Identifier: Apache-2.0 */
/* job.list: jobs with their runs. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/dues.h"

#include <stdlib.h>

static void describe_run(const struct job_run *run, const struct task *tasks, size_t tasks_n,
                         struct run_info *info)
{
    *info = (struct run_info){
        .number = run->number,
        .revision = run->revision,
        .state = str_copy(job_state_names[run->state]),
        .cause = str_copy(str_or_empty(run->cause)),
        .message = str_copy(str_or_empty(run->message)),
        .scheduled_ms = run->scheduled_ms,
        .started_ms = run->started_ms,
        .ended_ms = run->ended_ms,
    };
    for (size_t i = 0; i < tasks_n; i++) {
        info->tasks += tasks[i].job_id == run->id;
        info->complete += tasks[i].job_id == run->id && tasks[i].state == TASK_COMPLETE;
    }
}

static void describe(struct store *store, struct dues *dues, int64_t now_ms,
                     const struct service *s, struct job_info *info)
{
    struct task *tasks;
    struct job_run *runs;
    size_t tasks_n, n;
    *info = (struct job_info){
        .name = str_printf("%s.%s", s->stack, s->name),
        .mode = str_copy(service_mode_names[s->spec.mode]),
        .image = str_copy(str_or_empty(s->spec.image)),
        .schedule = str_copy(str_or_empty(s->spec.job.schedule)),
        .time_zone = str_copy(str_or_empty(s->spec.job.time_zone)),
        .stopped = s->stopped,
    };
    if (*info->schedule && !s->stopped) {
        int64_t next_ms = dues_next(dues, s, now_ms);
        info->next_ms = next_ms == INT64_MAX ? 0 : next_ms;
    }
    store_list(store, TABLE_TASK, BY_SERVICE_ID, s->id, &tasks, &tasks_n);
    store_list(store, TABLE_JOB_RUN, BY_SERVICE_ID, s->id, &runs, &n);
    info->runs = mem_alloc(n, sizeof(*info->runs));
    for (size_t i = 0; i < n; i++)
        describe_run(&runs[i], tasks, tasks_n, &info->runs[info->runs_n++]);
    record_free_list(&job_run_type, runs, n);
    record_free_list(&task_type, tasks, tasks_n);
}

static bool matches(const struct api_call *c, const struct service *s,
                    const struct object_name *name)
{
    return mode_is_job(s->spec.mode) && !s->removed && caller_sees(&c->caller, s->stack) &&
           (!name->stack || str_equal(s->stack, name->stack)) &&
           (!name->service || str_equal(s->name, name->service));
}

void api_job_list(struct api_call *c, const void *request)
{
    const struct filter_request *r = request;
    struct store *store = c->daemon->store;
    struct job_list_reply reply = {0};
    struct object_name name = {0};
    struct service *services;
    struct err err = {0};
    size_t n;
    if (*str_or_empty(r->name) && object_name_parse(r->name, &name, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct dues *dues = dues_new();
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    reply.jobs = mem_alloc(n, sizeof(*reply.jobs));
    for (size_t i = 0; i < n; i++)
        if (matches(c, &services[i], &name))
            describe(store, dues, daemon_now_ms(c->daemon), &services[i],
                     &reply.jobs[reply.jobs_n++]);
    if (reply.jobs_n > 0 || !*str_or_empty(r->name))
        api_reply(c, &reply);
    else
        api_fail_with(c, ERR_NOTFOUND, "there is no job '%.130s' ('wherry job ls' lists them)",
                      r->name);
    record_release(&job_list_reply_type, &reply);
    record_free_list(&service_type, services, n);
    dues_free(dues);
    object_name_release(&name);
}
