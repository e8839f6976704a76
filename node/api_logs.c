/* SPDX-License-Identifier: Apache-2.0 */
/* logs.read: answered by the node the task is on; any other member forwards it there. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/job.h"
#include "node/waiters.h"
#include "runtime/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOG_CHUNK_MAX = 256 << 10,
    LOG_READ_MS = 100, /* between two reads for one caller: other callers' reads wake it too */
    FORWARD_EXTRA_MS = 10000,
};

/* --- here ------------------------------------------------------------------------------------- */

struct log_wait {
    struct api_call *call;
    struct daemon *daemon;
    struct runtime *runtime;
    struct logs_request request;
    char id[24];
    bool reading;    /* a job is under way */
    bool fresh;      /* a job has read since we last looked */
    bool over;       /* the caller was answered */
    int64_t next_ms; /* boot time of the next read */
    struct log_cursor cursor;
    struct buf lines;
    bool more;
    struct err err;
};

static bool task_is_over(struct daemon *d, int64_t task_id)
{
    struct task task;
    if (store_get(d->store, TABLE_TASK, task_id, &task) < 0)
        return true;
    bool over = task_is_terminal(task.state);
    record_release(&task_type, &task);
    return over;
}

static void work_read(void *arg)
{
    struct log_wait *w = arg;
    if (w->request.has_tail && w->request.run == 0) {
        if (log_seek_tail(w->runtime, w->id, w->request.tail, &w->cursor, &w->err) < 0)
            return;
        w->request.has_tail = false;
    }
    log_read_cri(w->runtime, w->id, &w->cursor, LOG_CHUNK_MAX, &w->lines, &w->more, &w->err);
}

static void free_wait(struct log_wait *w)
{
    buf_release(&w->lines);
    free(w);
}

static void done_read(void *arg)
{
    struct log_wait *w = arg;
    w->reading = false;
    w->fresh = true;
    if (w->over)
        free_wait(w);
    else
        waiters_wake(w->daemon->waiters);
}

static void start_read(struct log_wait *w)
{
    w->reading = true;
    w->next_ms = clock_boot_ms() + LOG_READ_MS;
    w->err = (struct err){0};
    jobs_run(w->daemon->call_jobs, work_read, done_read, w);
}

static void answer(struct log_wait *w, bool ended)
{
    struct logs_reply reply = {.lines = {(unsigned char *)w->lines.data, w->lines.len},
                               .run = w->cursor.run,
                               .file = w->cursor.file,
                               .offset = w->cursor.offset,
                               .more = w->more,
                               .ended = ended};
    if (w->err.code != 0 && w->err.code != ERR_NOTFOUND)
        api_fail(w->call, &w->err);
    else
        api_reply(w->call, &reply);
    w->over = true;
}

static bool poll_logs(void *arg, bool last)
{
    struct log_wait *w = arg;
    if (w->daemon->stopping && !w->fresh) {
        /* No job may be started any more. */
        api_fail_with(w->call, ERR_UNAVAILABLE, "this member is stopping");
        w->over = true;
        if (!w->reading)
            free_wait(w);
        return true;
    }
    if (!w->fresh) {
        if (!w->reading && (last || clock_boot_ms() >= w->next_ms))
            start_read(w);
        return false; /* asked again when it has read */
    }
    bool ended = task_is_over(w->daemon, w->request.task_id);
    bool failed = w->err.code != 0 && w->err.code != ERR_NOTFOUND;
    if (w->lines.len > 0 || failed || ended || last || w->more) {
        answer(w, ended && !w->more);
        free_wait(w);
        return true;
    }
    w->fresh = false;
    return false;
}

static void read_here(struct api_call *c, const struct logs_request *r)
{
    struct log_wait *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->daemon = c->daemon;
    w->runtime = c->daemon->runtime;
    w->request = *r;
    w->request.tail = r->tail > 0 ? r->tail : 0;
    w->cursor = (struct log_cursor){
        .run = r->run > 0 ? r->run : 0, .file = r->file, .offset = r->offset > 0 ? r->offset : 0};
    snprintf(w->id, sizeof(w->id), "t%lld", (long long)r->task_id);
    /* At least one read, also without a wait. */
    waiters_add(c->daemon->waiters, r->wait_ms > 1 ? r->wait_ms : 1, poll_logs, w);
}

/* --- there ------------------------------------------------------------------------------------ */

static void on_forwarded(void *arg, const struct err *err, const struct reply *reply)
{
    struct api_call *c = arg;
    struct err remote = {0};
    struct logs_reply logs;
    if (err->code != 0)
        api_fail(c, err);
    else if (reply_get_err(reply, &remote) < 0 ||
             record_decode(&logs_reply_type, reply->body.data, reply->body.len, false, &logs,
                           &remote) < 0)
        api_fail(c, &remote);
    else {
        api_reply(c, &logs);
        record_release(&logs_reply_type, &logs);
    }
}

void api_logs(struct api_call *c, const void *request)
{
    const struct logs_request *r = request;
    struct daemon *d = c->daemon;
    struct task task;
    bool there = store_get(d->store, TABLE_TASK, r->task_id, &task) == 0;
    if (there && !caller_sees(&c->caller, task.stack)) {
        record_release(&task_type, &task);
        there = false;
    }
    if (!there) {
        api_fail_with(c, ERR_NOTFOUND, "task %lld is gone", (long long)r->task_id);
        return;
    }
    int64_t node = task.node_id;
    record_release(&task_type, &task);
    if (node == d->id || c->from != 0) {
        /* A member that forwards to the wrong one must not end it. */
        if (d->runtime)
            read_here(c, r);
        else
            api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and runs no containers", d->name);
        return;
    }
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(&logs_request_type, r, &body);
    struct call call = {.verb = (char[]){"logs.read"},
                        .token = c->caller.secret,
                        .body = {(unsigned char *)body.data, body.len}};
    int64_t wait = r->wait_ms < WAIT_MAX_MS ? r->wait_ms : WAIT_MAX_MS;
    forward_call(d->forward, node, &call, (wait > 0 ? wait : 0) + FORWARD_EXTRA_MS, on_forwarded,
                 c);
}
