/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - blocking work on threads of our own.
 *
 * libuv's pool is one for the whole process and libraft writes the log there: anything slow goes
 * here instead. A job owns its data: work() runs on a worker and may touch only that; done() runs
 * on the loop afterwards, exactly once.
 *
 *     jobs_run(jobs, pull_work, pull_done, pull);
 */
#ifndef WHERRY_NODE_JOB_H
#define WHERRY_NODE_JOB_H

#include <stddef.h>

struct jobs;
struct uv_loop_s;

typedef void (*job_work_cb)(void *arg);
typedef void (*job_done_cb)(void *arg);

/* Start @threads workers whose results come to @loop. */
struct jobs *jobs_new(struct uv_loop_s *loop, size_t threads);

/* Queue a job. Loop thread only. */
void jobs_run(struct jobs *jobs, job_work_cb work, job_done_cb done, void *arg);

/* Number of jobs queued or running. */
size_t jobs_busy(const struct jobs *jobs);

/* Finish what runs and what waits, then call @on_stopped on the loop and free @jobs. New jobs may
 * not come any more. */
void jobs_stop(struct jobs *jobs, void (*on_stopped)(void *arg), void *arg);

#endif
