/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_work - the course of a call about a container: found, done by a job, answered.
 *
 *     void api_container_pause(c, request) { container_work_begin(c, request, work_pause); }
 *     static void work_pause(struct container_work *w)
 *     { container_pause(w->runtime, w->target.id, &w->err); }
 *
 * The work function runs on a thread of the jobs and touches only what @w has. Loop thread
 * otherwise.
 */
#ifndef WHERRY_NODE_CONTAINER_WORK_H
#define WHERRY_NODE_CONTAINER_WORK_H

#include "base/err.h"
#include "node/container_target.h"

struct api_call;
struct runtime;
struct verb;

struct container_work {
    struct api_call *call; /* not for the work function */
    const struct verb *verb;
    struct runtime *runtime;
    struct container_target target;
    void *request; /* a copy */
    void *reply;   /* zeroed; a record of the verb's reply type, which is released */
    bool ready;    /* of a wait: the reply is to be sent now */
    struct err err;
    void (*run)(struct container_work *w);
};

/* Find the container of @request, here or elsewhere, run @run, and answer with w->reply or w->err.
 */
void container_work_begin(struct api_call *c, const void *request,
                          void (*run)(struct container_work *w));

/* The same again and again, until @run has set w->ready or w->err, or @wait_ms (at most 30 s) is
 * over: then the reply is sent as the last run left it. */
void container_work_wait(struct api_call *c, const void *request, int64_t wait_ms,
                         void (*run)(struct container_work *w));

#endif
