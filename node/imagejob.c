/* SPDX-License-Identifier: Apache-2.0 */
#include "node/imagejob.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "runtime/image.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEPT = 16,
    WAITING_MAX = 32, /* jobs that are not done */
    POLL_MS = 50,
};

enum kind {
    KIND_LOAD,
    KIND_PULL,
    KIND_PUSH,
    KIND_PRUNE,
    KIND_CHECK,
};

struct image_job {
    struct image_job *next;
    enum kind kind;
    char id[IMAGE_JOB_ID];
    struct runtime *runtime;
    const atomic_bool *giving_up; /* the daemon's */
    char *path;                   /* a load's archive */
    char *platform;               /* of a pull, or NULL */
    char *name;
    char **plain_http; /* NULL-terminated */
    bool all;          /* of a prune */
    bool dry_run;
    bool repair; /* of a check */
    pthread_mutex_t lock;
    char text[160]; /* under lock: written by the worker */
    bool done;      /* loop only */
    char **names;
    int64_t bytes;
    struct image_check checked;
    struct err err;
};

/* All of this process: one daemon a process. */
static struct image_job *jobs;
static unsigned long long last_id;

static bool on_progress(void *arg, const char *text)
{
    struct image_job *j = arg;
    pthread_mutex_lock(&j->lock);
    str_fill(j->text, sizeof(j->text), text);
    pthread_mutex_unlock(&j->lock);
    return !atomic_load(j->giving_up);
}

static int transfer(struct image_job *j)
{
    const char *const *plain_http = (const char *const *)j->plain_http;
    struct image_pull_options pull = {
        .platform = j->platform, .plain_http = plain_http, .progress = on_progress, .arg = j};
    struct image_push_options push = {.plain_http = plain_http, .progress = on_progress, .arg = j};
    return j->kind == KIND_PUSH ? image_push(j->runtime, j->name, &push, &j->err)
                                : image_pull_with(j->runtime, j->name, &pull, &j->err);
}

static void work_transfer(struct image_job *j)
{
    char *name = NULL;
    if (image_name_parse(j->name, &name, &j->err) == 0 && transfer(j) == 0) {
        j->names = mem_alloc(2, sizeof(char *));
        j->names[0] = steal(&name);
    }
    free(name);
}

static void work_prune(struct image_job *j)
{
    struct image_pruned pruned;
    if (image_prune(j->runtime, j->all, j->dry_run, &pruned, &j->err) < 0)
        return;
    j->names = steal(&pruned.images);
    j->bytes = pruned.bytes;
    image_pruned_release(&pruned);
}

static void work(void *arg)
{
    struct image_job *j = arg;
    if (atomic_load(j->giving_up)) {
        err_set(&j->err, ERR_CANCELED, "this member is stopping");
        return;
    }
    switch (j->kind) {
    case KIND_LOAD:
        image_load(j->runtime, j->path, j->name, &j->names, on_progress, j, &j->err);
        unlink(j->path);
        break;
    case KIND_PULL:
    case KIND_PUSH:
        work_transfer(j);
        break;
    case KIND_PRUNE:
        work_prune(j);
        break;
    case KIND_CHECK:
        image_check(j->runtime, j->repair, on_progress, j, &j->checked, &j->err);
        break;
    }
}

static void free_job(struct image_job *j)
{
    pthread_mutex_destroy(&j->lock);
    image_strings_free(j->names);
    image_strings_free(j->plain_http);
    image_check_release(&j->checked);
    free(j->path);
    free(j->platform);
    free(j->name);
    free(j);
}

static void forget_old(void)
{
    size_t n = 0;
    for (struct image_job **link = &jobs; *link;) {
        struct image_job *j = *link;
        if (j->done && ++n > KEPT) {
            *link = j->next;
            free_job(j);
        } else {
            link = &j->next;
        }
    }
}

static void done(void *arg)
{
    struct image_job *j = arg;
    j->done = true;
    forget_old();
}

static int check_room(struct err *err)
{
    size_t n = 0;
    for (const struct image_job *j = jobs; j; j = j->next)
        n += !j->done;
    if (n >= WAITING_MAX)
        return err_set(err, ERR_BUSY, "%zu images are being loaded or pulled already", n);
    return 0;
}

static void start(struct daemon *d, struct image_job *j, char id[IMAGE_JOB_ID])
{
    snprintf(j->id, sizeof(j->id), "%llu", ++last_id);
    memcpy(id, j->id, sizeof(j->id));
    j->runtime = d->runtime;
    j->giving_up = &d->giving_up;
    check(pthread_mutex_init(&j->lock, NULL) == 0);
    j->next = jobs;
    jobs = j;
    jobs_run(d->image_jobs, work, done, j);
}

int image_job_load(struct daemon *d, const char *path, const char *name, char id[IMAGE_JOB_ID],
                   struct err *err)
{
    int rv = check_room(err);
    if (rv < 0)
        return rv;
    struct image_job *j = mem_alloc(1, sizeof(*j));
    j->kind = KIND_LOAD;
    j->path = str_copy(path);
    j->name = name && *name ? str_copy(name) : NULL;
    start(d, j, id);
    return 0;
}

int image_job_transfer(struct daemon *d, const struct image_transfer *t, char id[IMAGE_JOB_ID],
                       struct err *err)
{
    int rv = check_room(err);
    if (rv < 0)
        return rv;
    struct image_job *j = mem_alloc(1, sizeof(*j));
    j->kind = t->push ? KIND_PUSH : KIND_PULL;
    j->name = str_copy(t->name);
    j->platform = str_copy(t->platform);
    j->plain_http = mem_alloc(t->plain_http_n + 1, sizeof(char *));
    for (size_t i = 0; i < t->plain_http_n; i++)
        j->plain_http[i] = str_copy(str_or_empty(t->plain_http[i]));
    start(d, j, id);
    return 0;
}

int image_job_prune(struct daemon *d, bool all, bool dry_run, char id[IMAGE_JOB_ID],
                    struct err *err)
{
    int rv = check_room(err);
    if (rv < 0)
        return rv;
    struct image_job *j = mem_alloc(1, sizeof(*j));
    j->kind = KIND_PRUNE;
    j->all = all;
    j->dry_run = dry_run;
    start(d, j, id);
    return 0;
}

int image_job_check(struct daemon *d, bool repair, char id[IMAGE_JOB_ID], struct err *err)
{
    int rv = check_room(err);
    if (rv < 0)
        return rv;
    struct image_job *j = mem_alloc(1, sizeof(*j));
    j->kind = KIND_CHECK;
    j->repair = repair;
    start(d, j, id);
    return 0;
}

/* What a check found, for the wire; its strings are the job's. */
static void fill_checked(const struct image_job *j, struct image_checked *out)
{
    *out = (struct image_checked){.images = j->checked.images,
                                  .blobs = j->checked.blobs,
                                  .layers = j->checked.layers,
                                  .bytes = j->checked.bytes,
                                  .findings_n = j->checked.n};
    out->findings = mem_alloc(j->checked.n, sizeof(*out->findings));
    for (size_t i = 0; i < j->checked.n; i++) {
        const struct image_finding *f = &j->checked.findings[i];
        out->findings[i] = (struct image_finding_record){.image = f->image,
                                                         .part = f->part,
                                                         .problem = f->problem,
                                                         .containers = f->users,
                                                         .fatal = f->fatal,
                                                         .repaired = f->repaired};
    }
}

/* --- progress: a timer of its own, for it also works before this machine is a member ------------
 */

struct progress_wait {
    uv_timer_t timer;
    struct api_call *call;
    char id[IMAGE_JOB_ID];
    char seen[160];
    int64_t deadline_ms;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct image_job *find(const char *id)
{
    for (struct image_job *j = jobs; j; j = j->next)
        if (strcmp(j->id, id) == 0)
            return j;
    return NULL;
}

static bool try_answer(struct progress_wait *w, bool last)
{
    struct image_job *j = find(w->id);
    struct job_progress reply = {0};
    char text[160];
    if (!j) {
        api_fail_with(w->call, ERR_NOTFOUND, "there is no job %s (any more)", w->id);
        return true;
    }
    pthread_mutex_lock(&j->lock);
    memcpy(text, j->text, sizeof(text));
    pthread_mutex_unlock(&j->lock);
    if (!j->done && !last && strcmp(text, w->seen) == 0)
        return false;
    reply.done = j->done;
    reply.text = text;
    reply.code = j->done ? -j->err.code : 0;
    reply.message = reply.code ? j->err.msg : NULL;
    reply.names = j->done ? j->names : NULL;
    while (reply.names && reply.names[reply.names_n])
        reply.names_n++;
    if (j->done) {
        reply.bytes = j->bytes;
        fill_checked(j, &reply.checked);
    }
    api_reply(w->call, &reply);
    free(reply.checked.findings);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct progress_wait *w = timer->data;
    bool last = clock_boot_ms() >= w->deadline_ms || w->call->daemon->stopping;
    if (try_answer(w, last))
        uv_close((uv_handle_t *)timer, on_closed);
}

void image_job_progress(struct api_call *c, const struct job_request *request)
{
    struct progress_wait *w = mem_alloc(1, sizeof(*w));
    int64_t wait = request->wait_ms < IMAGE_JOB_WAIT_MS ? request->wait_ms : IMAGE_JOB_WAIT_MS;
    w->call = c;
    w->deadline_ms = clock_boot_ms() + wait;
    str_fill(w->id, sizeof(w->id), str_or_empty(request->job));
    str_fill(w->seen, sizeof(w->seen), str_or_empty(request->seen));
    if (try_answer(w, wait <= 0)) {
        free(w);
        return;
    }
    uv_timer_init(&c->daemon->loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, POLL_MS, POLL_MS);
}
