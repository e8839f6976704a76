/* SPDX-License-Identifier: Apache-2.0 */
#include "node/standalone.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/standalone_item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MS = 60000,
    AGAIN_MS = 2000,
};

bool standalone_is_id(const char *id)
{
    return str_starts(id, "c-") && id[2];
}

bool standalone_is_creating(const struct standalone *all)
{
    for (const struct standalone_item *it = all->items; it; it = it->next)
        if (it->creating)
            return true;
    return false;
}

struct standalone_item *standalone_find(const struct standalone *all, const char *id)
{
    for (struct standalone_item *it = all->items; it; it = it->next)
        if (strcmp(it->record.id, id) == 0)
            return it;
    return NULL;
}

void standalone_drop(struct standalone_item *it)
{
    struct standalone_item **link = &it->all->items;
    check(!it->waiting && !it->busy);
    while (*link != it)
        link = &(*link)->next;
    *link = it->next;
    record_release(&standalone_record_type, &it->record);
    free(it);
}

struct standalone_item *standalone_add(struct standalone *all, struct standalone_record record)
{
    struct standalone_item *it = mem_alloc(1, sizeof(*it));
    it->all = all;
    it->record = record;
    it->machine = (struct standalone_machine){.policy = record.policy,
                                              .retries_max = record.retries_max,
                                              .auto_remove = record.auto_remove,
                                              .held = record.held,
                                              .stop_grace_ms = record.stop_grace_ms,
                                              .wanted = record.wanted};
    it->next = all->items;
    all->items = it;
    return it;
}

/* --- who waits -------------------------------------------------------------------------------- */

/* Answer those who wait for @kind; @err NULL: well. */
void standalone_answer(struct standalone_item *it, int kind, const struct err *err)
{
    for (struct waiting **link = &it->waiting; *link;) {
        struct waiting *w = *link;
        if ((int)w->kind != kind) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        if (err)
            api_fail(w->call, err);
        else
            api_reply(w->call, &(struct empty){0});
        free(w);
    }
}

static void answer_all(struct standalone_item *it, int code, const char *text)
{
    struct err err;
    err_set(&err, code, "container %s %s", it->record.id, text);
    standalone_answer(it, WAITS_START, &err);
    standalone_answer(it, WAITS_STOP, &err);
    standalone_answer(it, WAITS_REMOVE, &err);
}

void standalone_wait(struct standalone_item *it, struct api_call *c, int kind)
{
    struct waiting *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->kind = kind;
    w->next = it->waiting;
    it->waiting = w;
}

/* Where it has come to is what they waited for. */
void standalone_answer_phase(struct standalone_item *it)
{
    switch (it->machine.phase) {
    case STANDALONE_IDLE:
    case STANDALONE_DELAY:
        standalone_answer(it, WAITS_STOP, NULL);
        break;
    case STANDALONE_REMOVE:
    case STANDALONE_GONE: {
        struct err err;
        err_set(&err, ERR_NOTFOUND, "container %s is being removed", it->record.id);
        standalone_answer(it, WAITS_START, &err);
        standalone_answer(it, WAITS_STOP, NULL);
        if (it->machine.phase == STANDALONE_GONE)
            standalone_answer(it, WAITS_REMOVE, NULL);
        break;
    }
    case STANDALONE_START:
    case STANDALONE_RUN:
    case STANDALONE_STOP:
        break;
    }
}

/* --- jobs ------------------------------------------------------------------------------------- */

struct task_job {
    struct standalone_item *item;
    enum standalone_work work;
    struct standalone_job *job;
};

static void on_work(void *arg)
{
    static void (*const works[])(struct standalone_job *) = {
        [STANDALONE_WORK_NONE] = standalone_work_create,
        [STANDALONE_WORK_SAVE] = standalone_work_save,
        [STANDALONE_WORK_START] = standalone_work_start,
        [STANDALONE_WORK_LOOK] = standalone_work_look,
        [STANDALONE_WORK_SIGNAL] = standalone_work_signal,
        [STANDALONE_WORK_KILL] = standalone_work_kill,
        [STANDALONE_WORK_REMOVE] = standalone_work_remove,
    };
    struct task_job *t = arg;
    works[t->work](t->job);
}

static void on_saved(struct standalone_item *it, const struct err *err, int64_t now)
{
    standalone_saved(&it->machine, err->code == 0, now);
    if (err->code == 0)
        return;
    log_warn("node", "keep what container %s is to do: %s", it->record.id, err->msg);
    if (it->machine.phase == STANDALONE_IDLE)
        standalone_answer(it, WAITS_START, err);
}

static void on_started(struct standalone_item *it, const struct err *err, int64_t now)
{
    standalone_started(&it->machine, err->code == 0, now);
    if (err->code != 0)
        log_warn("node", "start container %s: %s", it->record.id, err->msg);
    standalone_answer(it, WAITS_START, err->code == 0 ? NULL : err);
}

static void on_looked(struct standalone_item *it, const struct standalone_job *job, int64_t now)
{
    struct container_state state = job->state;
    if (job->err.code == ERR_NOTFOUND)
        state.status = CONTAINER_SHIM_LOST;
    else if (job->err.code != 0) {
        log_warn("node", "look at container %s: %s", it->record.id, job->err.msg);
        it->machine.poll_ms = now + AGAIN_MS;
        return;
    }
    standalone_looked(&it->machine, &state, now);
}

static void on_result(struct standalone_item *it, enum standalone_work work,
                      const struct standalone_job *job)
{
    int64_t now = clock_boot_ms();
    const struct err *err = &job->err;
    if (err->code != 0 && work >= STANDALONE_WORK_SIGNAL)
        log_warn("node", "end container %s: %s", it->record.id, err->msg);
    switch (work) {
    case STANDALONE_WORK_NONE: /* of a create: on_created() */
        break;
    case STANDALONE_WORK_SAVE:
        on_saved(it, err, now);
        break;
    case STANDALONE_WORK_START:
        on_started(it, err, now);
        break;
    case STANDALONE_WORK_LOOK:
        on_looked(it, job, now);
        break;
    case STANDALONE_WORK_SIGNAL:
        standalone_signalled(&it->machine, now);
        break;
    case STANDALONE_WORK_KILL:
        standalone_killed(&it->machine, err->code == 0, now);
        break;
    case STANDALONE_WORK_REMOVE:
        standalone_removed(&it->machine, err->code == 0, now);
        if (err->code != 0)
            standalone_answer(it, WAITS_REMOVE, err);
        break;
    }
}

/* A job that ended after it was asked to remove the container tells nothing any more. */
static bool is_of_phase(const struct standalone_item *it, enum standalone_work work)
{
    bool start = it->machine.phase == STANDALONE_START;
    bool removing = it->machine.phase == STANDALONE_REMOVE;
    return (work != STANDALONE_WORK_START || start) &&
           (!removing || work == STANDALONE_WORK_REMOVE);
}

static void on_done(void *arg)
{
    struct task_job *t = arg;
    struct standalone_item *it = t->item;
    it->busy = false;
    if (is_of_phase(it, t->work))
        on_result(it, t->work, t->job);
    if (it->touched && t->work != STANDALONE_WORK_LOOK)
        it->machine.poll_ms = 0;
    it->touched = false;
    standalone_job_free(t->job);
    free(t);
    standalone_answer_phase(it);
    if (it->machine.phase == STANDALONE_GONE)
        standalone_drop(it);
    else
        standalone_step(it);
}

struct standalone_job *standalone_new_job(const struct standalone_item *it)
{
    struct daemon *d = it->all->daemon;
    struct standalone_job *job = mem_alloc(1, sizeof(*job));
    job->runtime = d->runtime;
    job->data_dir = str_copy(d->data_dir);
    job->run_dir = str_copy(d->run_dir);
    record_copy(&standalone_record_type, &it->record, &job->record);
    return job;
}

static void run(struct standalone_item *it, enum standalone_work work)
{
    struct task_job *t = mem_alloc(1, sizeof(*t));
    it->record.wanted = it->machine.wanted;
    t->item = it;
    t->work = work;
    t->job = standalone_new_job(it);
    it->busy = true;
    jobs_run(it->all->daemon->jobs, on_work, on_done, t);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void arm(struct standalone *all);

void standalone_step(struct standalone_item *it)
{
    if (it->busy || it->creating || it->all->stopping)
        return;
    enum standalone_work work = standalone_next(&it->machine, clock_boot_ms());
    if (work != STANDALONE_WORK_NONE)
        run(it, work);
    arm(it->all);
}

static void on_timer(uv_timer_t *timer)
{
    struct standalone *all = timer->data;
    for (struct standalone_item *it = all->items, *next; it; it = next) {
        next = it->next;
        standalone_step(it);
    }
    arm(all);
}

static void arm(struct standalone *all)
{
    int64_t now = clock_boot_ms();
    int64_t at = now + IDLE_MS;
    if (all->stopping)
        return;
    for (const struct standalone_item *it = all->items; it; it = it->next) {
        int64_t due = it->busy || it->creating ? 0 : standalone_due_ms(&it->machine);
        if (due && due < at)
            at = due;
    }
    uv_timer_start(&all->timer, on_timer, at > now ? (uint64_t)(at - now) : 1, 0);
}

static void on_exit_seen(uv_fs_event_t *event, const char *filename, int events, int status)
{
    struct standalone *all = event->data;
    (void)events;
    struct standalone_item *it =
        status < 0 || !filename || all->stopping ? NULL : standalone_find(all, filename);
    if (!it)
        return;
    it->machine.poll_ms = 0;
    it->touched = it->busy;
    standalone_step(it);
}

/* --- what is here at the start ---------------------------------------------------------------- */

struct load_job {
    struct standalone *all;
    struct runtime *runtime;
    const char *data_dir, *run_dir;
    struct standalone_found *found;
    size_t n;
    struct err err;
};

static void work_load(void *arg)
{
    struct load_job *job = arg;
    standalone_load(job->runtime, job->data_dir, job->run_dir, &job->found, &job->n, &job->err);
}

static void done_load(void *arg)
{
    struct load_job *job = arg;
    struct standalone *all = job->all;
    if (job->err.code != 0)
        log_warn("node", "look for containers of no stack: %s", job->err.msg);
    for (size_t i = 0; i < job->n; i++) {
        struct standalone_item *it = standalone_add(all, job->found[i].record);
        standalone_adopt(&it->machine, &job->found[i].state, clock_boot_ms());
    }
    all->loaded = job->err.code == 0;
    free(job->found);
    free(job);
    arm(all);
}

struct standalone *standalone_new(struct daemon *d)
{
    struct standalone *all = mem_alloc(1, sizeof(*all));
    struct load_job *job = mem_alloc(1, sizeof(*job));
    all->daemon = d;
    uv_timer_init(&d->loop, &all->timer);
    uv_fs_event_init(&d->loop, &all->exits);
    all->timer.data = all->exits.data = all;
    all->handles = 2;
    int rv = uv_fs_event_start(&all->exits, on_exit_seen, container_exits_dir(d->runtime), 0);
    if (rv < 0)
        log_warn("node", "watch %s: %s; ends are seen within seconds only",
                 container_exits_dir(d->runtime), uv_strerror(rv));
    *job = (struct load_job){
        .all = all, .runtime = d->runtime, .data_dir = d->data_dir, .run_dir = d->run_dir};
    jobs_run(d->jobs, work_load, done_load, job);
    return all;
}

static void on_closed(uv_handle_t *handle)
{
    struct standalone *all = handle->data;
    if (--all->handles == 0)
        free(all);
}

void standalone_stop(struct standalone *all)
{
    all->stopping = true;
    for (struct standalone_item *it = all->items; it; it = it->next)
        answer_all(it, ERR_UNAVAILABLE, "is left as it is: this member is stopping");
}

void standalone_free(struct standalone *all)
{
    if (!all)
        return;
    check(all->stopping);
    while (all->items)
        standalone_drop(all->items);
    uv_close((uv_handle_t *)&all->timer, on_closed);
    uv_close((uv_handle_t *)&all->exits, on_closed);
}
