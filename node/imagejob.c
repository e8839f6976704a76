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

struct image_job {
    struct image_job *next;
    char id[IMAGE_JOB_ID];
    struct runtime *runtime;
    const atomic_bool *giving_up; /* the daemon's */
    char *path;                   /* a load's archive; NULL: a pull */
    char *name;
    char **plain_http; /* NULL-terminated */
    pthread_mutex_t lock;
    char text[160]; /* under lock: written by the worker */
    bool done;      /* loop only */
    char **names;
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

static void work(void *arg)
{
    struct image_job *j = arg;
    if (atomic_load(j->giving_up)) {
        err_set(&j->err, ERR_CANCELED, "this member is stopping");
        return;
    }
    if (j->path) {
        image_load(j->runtime, j->path, j->name, &j->names, on_progress, j, &j->err);
        unlink(j->path);
        return;
    }
    char *name = NULL;
    if (image_name_parse(j->name, &name, &j->err) == 0 &&
        image_pull(j->runtime, j->name, (const char *const *)j->plain_http, on_progress, j,
                   &j->err) == 0) {
        j->names = mem_alloc(2, sizeof(char *));
        j->names[0] = steal(&name);
    }
    free(name);
}

static void free_job(struct image_job *j)
{
    pthread_mutex_destroy(&j->lock);
    image_strings_free(j->names);
    image_strings_free(j->plain_http);
    free(j->path);
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
    j->path = str_copy(path);
    j->name = name && *name ? str_copy(name) : NULL;
    start(d, j, id);
    return 0;
}

int image_job_pull(struct daemon *d, const char *name, char *const *plain_http, size_t n,
                   char id[IMAGE_JOB_ID], struct err *err)
{
    int rv = check_room(err);
    if (rv < 0)
        return rv;
    struct image_job *j = mem_alloc(1, sizeof(*j));
    j->name = str_copy(name);
    j->plain_http = mem_alloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        j->plain_http[i] = str_copy(str_or_empty(plain_http[i]));
    start(d, j, id);
    return 0;
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
    api_reply(w->call, &reply);
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
    enum {
        WAIT_MAX = 30000
    };
    struct progress_wait *w = mem_alloc(1, sizeof(*w));
    int64_t wait = request->wait_ms < WAIT_MAX ? request->wait_ms : WAIT_MAX;
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
