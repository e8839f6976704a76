/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs - services whose tasks run to their end, in runs.
 *
 * A run (struct job_run) is begun once for each revision, or when the schedule says so, or by hand.
 * It has a slot for each replica, or for each node that fits; a slot's task that completed stays as
 * the proof. The run succeeds when all slots have one, and fails when a task gave up
 * (restart_policy says how often it is tried on its node) or the deadline passed. A task whose node
 * is lost is placed anew: what a job does may be done more than once.
 *
 * Runs that are over keep their tasks, for logs, until apply forgets the run.
 */
#ifndef WHERRY_SCHEDULER_JOBS_H
#define WHERRY_SCHEDULER_JOBS_H

#include "scheduler/planner.h"

/* Plan the next step of @service, a job that is not removed. */
void jobs_plan(struct planner *planner, const struct service_tasks *service);

#endif
