/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks (Compose specification, "healthcheck"): a command in the container, or a probe from
 * outside, every interval; `retries` failures in a row make the task unhealthy, one success
 * healthy. Failures within the start period do not count. An unhealthy run is ended and begun anew,
 * unless the service says otherwise.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/agent.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/probe.h"
#include "node/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERVAL_DEFAULT_MS = 30000,
    TIMEOUT_DEFAULT_MS = 30000,
    RETRIES_DEFAULT = 3,
    STARTING_INTERVAL_MS = 1000, /* default of start_interval, so that a rollout need not wait */
};

struct check_job {
    struct agent *agent;
    struct runtime *runtime;
    char id[24];
    int64_t run;
    char **argv;        /* NULL-terminated, owned; NULL: @probe asks */
    struct probe probe; /* owned */
    int64_t timeout_ms;
    struct buf output;
    int exit_code;
    struct err err;
};

static int64_t interval_ms(const struct agent *a)
{
    int64_t interval =
        a->spec.health.interval_ms ? a->spec.health.interval_ms : INTERVAL_DEFAULT_MS;
    int64_t start =
        a->spec.health.start_interval_ms ? a->spec.health.start_interval_ms : STARTING_INTERVAL_MS;
    bool starting = a->health == HEALTH_STARTING;
    return starting && interval > start ? start : interval;
}

void health_begin(struct agent *a)
{
    bool has_check = health_is_checked(&a->spec.health);
    a->health = has_check ? HEALTH_STARTING : HEALTH_NONE;
    a->check_failures = 0;
    a->check_due_ms = has_check ? clock_boot_ms() + interval_ms(a) : 0;
}

static void work(void *arg)
{
    struct check_job *job = arg;
    if (job->argv)
        container_exec(job->runtime, job->id, (const char *const *)job->argv, job->timeout_ms,
                       &job->output, &job->exit_code, &job->err);
    else
        probe_run(&job->probe, job->timeout_ms, &job->err);
}

static void on_failed(struct agent *a, const struct check_job *job)
{
    const struct health_spec *health = &a->spec.health;
    int64_t retries = health->retries ? health->retries : RETRIES_DEFAULT;
    if (a->health == HEALTH_STARTING && clock_boot_ms() - a->started_ms < health->start_period_ms)
        return;
    if (++a->check_failures < retries)
        return;
    a->health = HEALTH_UNHEALTHY;
    char message[200];
    if (job->err.code != 0)
        snprintf(message, sizeof(message), "health check: %.150s", job->err.msg);
    else
        snprintf(message, sizeof(message), "health check exited with %d: %.120s", job->exit_code,
                 str_or_empty(job->output.data));
    message[strcspn(message, "\n")] = '\0';
    if (health->on_unhealthy == UNHEALTHY_RESTART) {
        a->ailing = true;
        snprintf(a->ailment, sizeof(a->ailment), "unhealthy, %.100s", message);
    }
    agent_say(a, TASK_RUNNING, message);
}

static void done(void *arg)
{
    struct check_job *job = arg;
    struct agent *a = job->agent;
    a->checking = false;
    /* The run it was about may be over. */
    if (!a->daemon->stopping && a->phase == AGENT_RUN && a->run == job->run) {
        if (job->err.code == 0 && job->exit_code == 0) {
            a->check_failures = 0;
            a->health = HEALTH_HEALTHY;
            agent_say(a, TASK_RUNNING, a->note);
        } else if (job->err.code != ERR_BUSY) { /* paused: that says nothing of its health */
            on_failed(a, job);
        }
        a->check_due_ms = clock_boot_ms() + interval_ms(a);
    }
    for (size_t i = 0; job->argv && job->argv[i]; i++)
        free(job->argv[i]);
    free(job->argv);
    probe_release(&job->probe);
    buf_release(&job->output);
    free(job);
    if (!a->daemon->stopping)
        reconcile_wake(a->daemon->reconcile);
}

/* At the task's own address, in its own namespace. */
static void aim(const struct agent *a, struct probe *probe)
{
    const struct health_spec *health = &a->spec.health;
    bool own = a->task.addresses_n > 0 && !a->spec.options.network_host;
    *probe = (struct probe){
        .kind = health->probe,
        .netns = a->spec.options.network_host ? NULL : str_copy(a->netns),
        .address = str_copy(own ? a->task.addresses[0].address : "127.0.0.1"),
        .port = health->port,
        .path = str_copy(str_or_empty(health->path)),
        .host = str_copy(str_or_empty(health->host)),
        .service = str_copy(str_or_empty(health->service)),
    };
}

void health_step(struct agent *a)
{
    if (a->checking || a->check_due_ms == 0 || clock_boot_ms() < a->check_due_ms)
        return;
    const struct health_spec *health = &a->spec.health;
    struct check_job *job = mem_alloc(1, sizeof(*job));
    job->agent = a;
    job->runtime = a->daemon->runtime;
    memcpy(job->id, a->id, sizeof(job->id));
    job->run = a->run;
    job->timeout_ms = health->timeout_ms ? health->timeout_ms : TIMEOUT_DEFAULT_MS;
    if (health->probe == PROBE_COMMAND) {
        job->argv = mem_alloc(health->test_n + 1, sizeof(char *));
        for (size_t i = 0; i < health->test_n; i++)
            job->argv[i] = str_copy(health->test[i]);
    } else {
        aim(a, &job->probe);
    }
    a->checking = true;
    jobs_run(a->daemon->check_jobs, work, done, job);
}
