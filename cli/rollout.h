/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollout - wait until services run as asked, and say why when they cannot.
 *
 * rollout_judge() looks at one service and its tasks as a member shows them at one moment and keeps
 * what it has to remember in struct rollout; it is pure. rollout_wait() asks a member again and
 * again and shows the progress.
 *
 * A service is done when all its replicas run its newest revision and are healthy, or a job's have
 * all completed. One without a health check that was seen to start has to run for a moment, or what
 * ends at once would count. It has failed when a task of the newest revision has ended for good,
 * ends again and again, or when for ROLLOUT_STUCK_MS no node fits or something that a task needs
 * (its image) cannot be had. What waits for another service is not judged by its waiting.
 */
#ifndef WHERRY_CLI_ROLLOUT_H
#define WHERRY_CLI_ROLLOUT_H

#include "cluster/api.h"

struct cli;
struct err;

enum {
    ROLLOUT_STUCK_MS = 10000,
    ROLLOUT_RESTARTS_MAX = 5, /* so many more and not running: it ends again and again */
    ROLLOUT_SETTLE_MS = 2000, /* a global service gets its first task within this */
    ROLLOUT_STEADY_MS = 700,  /* without a health check */
};

enum rollout_verdict {
    VERDICT_GOING,
    VERDICT_DONE,
    VERDICT_FAILED,
};

struct rollout {
    char *name;             /* "app.web" */
    int64_t since_ms;       /* of the first look */
    int64_t good_since_ms;  /* all has run since then; 0: it does not */
    bool moved;             /* not all ran at the first look */
    int64_t restarts;       /* of a task, at most, at the first look */
    int64_t revision;       /* at the first look */
    int64_t stuck_since_ms; /* 0: it is not */
    int64_t stuck_task;     /* the task that cannot be prepared, 0: no node fits */
    enum rollout_verdict verdict;
    bool back;        /* VERDICT_FAILED: the revision before has come back */
    char reason[400]; /* why it is not done; "" for no special reason */
    char line[600];   /* "app.web  2/3 running (updating)  reason" without the name */
};

/* Judge @info with its @tasks (of any service; others are skipped) at @now_ms of a clock that only
 * goes forward. @info NULL: there is no such service. */
void rollout_judge(struct rollout *rollout, const struct service_info *info,
                   const struct task_info *tasks, size_t tasks_n, int64_t now_ms);

struct rollout_request {
    const char *filter;       /* what to ask for: "app", "app.web" or "" */
    const char *const *names; /* full names to wait for */
    size_t names_n;
    bool removed;  /* also until services that are being removed are gone */
    bool gone;     /* instead: until filter names nothing any more */
    int64_t index; /* of the change waited for, or 0 */
    int64_t timeout_ms;
    const char *what; /* for messages: "the deploy" */
};

/* Wait and show. 0 when all is done; ERR_FAILED, or ERR_TIMEOUT when the time is over, after the
 * reasons were printed; or the error of the call. */
int rollout_wait(struct cli *cli, const struct rollout_request *request, struct err *err);

#endif
