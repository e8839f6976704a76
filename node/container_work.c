/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container_work.h"

#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/waiters.h"

#include <stdlib.h>

enum {
    FORWARD_MS = 30000,       /* for the reply of another member */
    FORWARD_EXTRA_MS = 10000, /* … beyond what that one waits itself */
    LOOK_MS = 100,            /* between two runs for one caller */
};

/* A call that waits for something. */
struct wait {
    struct container_work work;
    struct daemon *daemon;
    bool running; /* a job is under way */
    bool fresh;   /* … has ended since we last looked */
    bool over;    /* the caller was answered */
    int64_t next_ms;
};

static bool init_work(struct container_work *w, struct api_call *c, const void *request,
                      int64_t forward_ms, void (*run)(struct container_work *w))
{
    if (!container_route(c, request, forward_ms, &w->target))
        return false;
    w->call = c;
    w->verb = c->verb;
    w->runtime = c->daemon->runtime;
    w->request = mem_alloc(1, c->verb->request->size);
    record_copy(c->verb->request, request, w->request);
    w->reply = mem_alloc(1, c->verb->reply->size);
    w->run = run;
    return true;
}

static void release_work(struct container_work *w)
{
    record_release(w->verb->reply, w->reply);
    record_release(w->verb->request, w->request);
    free(w->reply);
    free(w->request);
}

static void answer(struct container_work *w)
{
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else
        api_reply(w->call, w->reply);
}

static void on_work(void *arg)
{
    struct container_work *w = arg;
    w->run(w);
}

static void on_done(void *arg)
{
    answer(arg);
    release_work(arg);
    free(arg);
}

void container_work_begin(struct api_call *c, const void *request,
                          void (*run)(struct container_work *w))
{
    struct container_work *w = mem_alloc(1, sizeof(*w));
    if (init_work(w, c, request, FORWARD_MS, run))
        jobs_run(c->daemon->call_jobs, on_work, on_done, w);
    else
        free(w);
}

static void on_look(void *arg)
{
    struct wait *w = arg;
    w->work.run(&w->work);
}

static void on_looked(void *arg)
{
    struct wait *w = arg;
    w->running = false;
    w->fresh = true;
    if (w->over) {
        release_work(&w->work);
        free(w);
    } else
        waiters_wake(w->daemon->asking);
}

static bool poll_wait(void *arg, bool last)
{
    struct wait *w = arg;
    if (w->daemon->stopping && !w->fresh) {
        /* No job may be started any more, and none is waited for. */
        api_fail_with(w->work.call, ERR_UNAVAILABLE, "this member is stopping");
        w->over = true;
        if (!w->running)
            on_looked(w);
        return true;
    }
    if (!w->fresh) {
        if (!w->running && (last || clock_boot_ms() >= w->next_ms)) {
            w->running = true;
            w->next_ms = clock_boot_ms() + LOOK_MS;
            jobs_run(w->daemon->call_jobs, on_look, on_looked, w);
        }
        return false; /* asked again when it has looked */
    }
    if (!w->work.ready && w->work.err.code == 0 && !last) {
        w->fresh = false;
        return false;
    }
    answer(&w->work);
    release_work(&w->work);
    free(w);
    return true;
}

void container_work_wait(struct api_call *c, const void *request, int64_t wait_ms,
                         void (*run)(struct container_work *w))
{
    struct wait *w = mem_alloc(1, sizeof(*w));
    int64_t wait = wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
    w->daemon = c->daemon;
    if (init_work(&w->work, c, request, (wait > 0 ? wait : 0) + FORWARD_EXTRA_MS, run))
        waiters_add(c->daemon->asking, wait > 1 ? wait : 1, poll_wait, w); /* at least one look */
    else
        free(w);
}
