/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

enum {
    JOB_STACK_BYTES = 256 << 10,
};

struct job {
    struct job *next;
    job_work_cb work;
    job_done_cb done;
    void *arg;
};

struct job_queue {
    struct job *first;
    struct job **last;
};

struct jobs {
    uv_async_t async;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job_queue waiting;  /* under lock */
    struct job_queue finished; /* under lock */
    bool stopping;             /* under lock */
    size_t busy;               /* loop only: queued, running or not yet handed back */
    pthread_t *threads;
    size_t threads_n;
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

static void queue_init(struct job_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_push(struct job_queue *q, struct job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}

static struct job *queue_pop(struct job_queue *q)
{
    struct job *job = q->first;
    if (!job)
        return NULL;
    q->first = job->next;
    if (!q->first)
        q->last = &q->first;
    return job;
}

static void *worker(void *arg)
{
    struct jobs *jobs = arg;
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        struct job *job = queue_pop(&jobs->waiting);
        if (!job && jobs->stopping)
            break;
        if (!job) {
            pthread_cond_wait(&jobs->wake, &jobs->lock);
            continue;
        }
        pthread_mutex_unlock(&jobs->lock);
        job->work(job->arg);
        pthread_mutex_lock(&jobs->lock);
        queue_push(&jobs->finished, job);
        uv_async_send(&jobs->async);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct jobs *jobs = handle->data;
    void (*on_stopped)(void *arg) = jobs->on_stopped;
    void *arg = jobs->stop_arg;
    pthread_mutex_destroy(&jobs->lock);
    pthread_cond_destroy(&jobs->wake);
    free(jobs->threads);
    free(jobs);
    on_stopped(arg);
}

static void finish_stop(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->threads_n; i++)
        pthread_join(jobs->threads[i], NULL);
    uv_close((uv_handle_t *)&jobs->async, on_closed);
}

static void on_async(uv_async_t *handle)
{
    struct jobs *jobs = handle->data;
    for (;;) {
        pthread_mutex_lock(&jobs->lock);
        struct job *job = queue_pop(&jobs->finished);
        pthread_mutex_unlock(&jobs->lock);
        if (!job)
            break;
        check(jobs->busy > 0);
        jobs->busy--;
        job->done(job->arg);
        free(job);
    }
    if (jobs->on_stopped && jobs->busy == 0 && !uv_is_closing((uv_handle_t *)&jobs->async))
        finish_stop(jobs);
}

struct jobs *jobs_new(struct uv_loop_s *loop, size_t threads)
{
    struct jobs *jobs = mem_alloc(1, sizeof(*jobs));
    queue_init(&jobs->waiting);
    queue_init(&jobs->finished);
    check(pthread_mutex_init(&jobs->lock, NULL) == 0);
    check(pthread_cond_init(&jobs->wake, NULL) == 0);
    check(uv_async_init(loop, &jobs->async, on_async) == 0);
    jobs->async.data = jobs;
    jobs->threads = mem_alloc(threads, sizeof(*jobs->threads));
    jobs->threads_n = threads;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, JOB_STACK_BYTES);
    /* Signals are for the loop's thread. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (size_t i = 0; i < threads; i++)
        check(pthread_create(&jobs->threads[i], &attr, worker, jobs) == 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return jobs;
}

void jobs_run(struct jobs *jobs, job_work_cb work, job_done_cb done, void *arg)
{
    check(!jobs->on_stopped);
    struct job *job = mem_alloc(1, sizeof(*job));
    job->work = work;
    job->done = done;
    job->arg = arg;
    jobs->busy++;
    pthread_mutex_lock(&jobs->lock);
    queue_push(&jobs->waiting, job);
    pthread_cond_signal(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
}

size_t jobs_busy(const struct jobs *jobs)
{
    return jobs->busy;
}

void jobs_stop(struct jobs *jobs, void (*on_stopped)(void *arg), void *arg)
{
    jobs->on_stopped = on_stopped;
    jobs->stop_arg = arg;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    pthread_cond_broadcast(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
    uv_async_send(&jobs->async);
}
