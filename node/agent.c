/* SPDX-License-Identifier: Apache-2.0 */
#include "node/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/netsync.h"
#include "node/reconcile.h"
#include "node/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 3000, /* between looks at a running container: a killed shim signals nothing */
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 30000,
    DELAY_DEFAULT_MS = 1000,
    DELAY_MAX_MS = 60000,
    WINDOW_DEFAULT_MS = 10000,
    GRACE_DEFAULT_MS = 10000,
    EXIT_UNKNOWN = 137, /* killed: its shim or its machine was */
    EXIT_NOT_STARTED = 127,
    ADOPTED_ATTEMPTS_MAX = 5, /* of what restarted before we came */
};

struct agent *agent_new(struct daemon *d, const struct task *task, const struct spec *spec)
{
    struct agent *a = mem_alloc(1, sizeof(*a));
    a->daemon = d;
    a->task_id = task->id;
    snprintf(a->id, sizeof(a->id), "t%lld", (long long)task->id);
    a->netns = str_printf("%s/netns/%s", d->run_dir, a->id);
    record_copy(&task_type, task, &a->task);
    record_copy(&spec_type, spec, &a->spec);
    a->phase = AGENT_FETCH;
    a->state = task->state;
    a->health = task->health;
    a->run = task->run;
    a->sequence = task->sequence;
    a->exit_code = task->exit_code;
    a->state_ms = task->state_ms;
    a->said_run = task->run;
    a->said_health = task->health;
    str_fill(a->message, sizeof(a->message), str_or_empty(task->message));
    return a;
}

void agent_free(struct agent *a)
{
    check(!a->busy && !a->checking);
    record_release(&task_type, &a->task);
    record_release(&spec_type, &a->spec);
    free(a->netns);
    free(a);
}

static bool should_end(const struct agent *a)
{
    return a->row_gone || a->task.desired == DESIRED_END;
}

/* Greater than any before, also than what an earlier process of ours said that our copy of the
 * state does not show yet: such a report must not pass for this one. */
static void next_sequence(struct agent *a)
{
    int64_t now = clock_wall_ms();
    a->sequence = a->sequence < now ? now : a->sequence + 1;
}

void agent_set_task(struct agent *a, const struct task *task)
{
    a->row_gone = !task;
    if (task) {
        record_release(&task_type, &a->task);
        record_copy(&task_type, task, &a->task);
    }
    if (should_end(a))
        agent_cancel_fetch(a);
    if (!task || task_is_terminal(task->state))
        return;
    /* What an earlier process of ours said arrived late: ours is the newer word. */
    if (task->sequence > a->sequence) {
        a->sequence = task->sequence;
        next_sequence(a);
    }
    /* Our word did not arrive, or arrived half-way: say it again. */
    if (task->sequence < a->sequence)
        agent_report(a);
}

void agent_report(struct agent *a)
{
    if (a->row_gone)
        return;
    report_task(a->daemon->report, &(struct task_observation){.task_id = a->task_id,
                                                              .state = a->state,
                                                              .health = a->health,
                                                              .run = a->run,
                                                              .sequence = a->sequence,
                                                              .exit_code = a->exit_code,
                                                              .message = a->message,
                                                              .state_ms = a->state_ms});
}

void agent_say(struct agent *a, enum task_state state, const char *message)
{
    if (a->state == state && a->said_run == a->run && a->said_health == a->health &&
        strcmp(a->message, message) == 0)
        return;
    a->state = state;
    a->said_run = a->run;
    a->said_health = a->health;
    str_fill(a->message, sizeof(a->message), message);
    next_sequence(a);
    a->state_ms = clock_wall_ms();
    agent_report(a);
}

static int64_t doubled(int64_t first, int64_t times, int64_t max)
{
    int64_t delay = first;
    for (int64_t i = 0; i < times && delay < max; i++)
        delay *= 2;
    return delay < max ? delay : max;
}

/* --- before the start ------------------------------------------------------------------------ */

static void retry_later(struct agent *a, const struct err *err)
{
    a->phase = AGENT_RETRY;
    a->due_ms = clock_boot_ms() + doubled(RETRY_FIRST_MS, a->failures++, RETRY_MAX_MS);
    agent_say(a, TASK_WAITING, err->msg);
}

void agent_on_fetched(struct agent *a, const struct err *err)
{
    if (err->code == 0)
        a->phase = AGENT_CREATE;
    else if (!should_end(a))
        retry_later(a, err);
    agent_step(a);
}

void agent_on_created(struct agent *a, const struct err *err)
{
    if (err->code != 0) {
        retry_later(a, err);
    } else {
        a->has_netns = true;
        a->phase = a->task.addresses_n > 0 ? AGENT_NETWORK : AGENT_START;
        a->network_generation = netsync_request(a->daemon->netsync);
    }
    agent_step(a);
}

void agent_on_network(struct agent *a, int64_t generation, bool connected)
{
    if (a->phase != AGENT_NETWORK || a->busy || generation < a->network_generation)
        return;
    if (connected) {
        a->phase = AGENT_START;
    } else {
        struct err err;
        err_set(&err, ERR_UNAVAILABLE, "network: %s", netsync_error(a->daemon->netsync));
        retry_later(a, &err);
    }
    agent_step(a);
}

/* --- runs ------------------------------------------------------------------------------------ */

static bool may_restart(const struct agent *a, int64_t exit_code)
{
    const struct restart_policy *policy = &a->spec.restart;
    if (policy->max_attempts > 0 && a->attempts >= policy->max_attempts)
        return false;
    switch (policy->condition) {
    case RESTART_ANY:
        return a->spec.mode != MODE_REPLICATED_JOB || exit_code != 0;
    case RESTART_ON_FAILURE:
        return exit_code != 0;
    case RESTART_NONE:
        return false;
    }
    return false;
}

/* A run ended, or could not begin: the policy says what comes next. */
static void on_run_ended(struct agent *a, int64_t exit_code, const char *message)
{
    const struct restart_policy *policy = &a->spec.restart;
    int64_t window = policy->window_ms ? policy->window_ms : WINDOW_DEFAULT_MS;
    int64_t first = policy->delay_ms ? policy->delay_ms : DELAY_DEFAULT_MS;
    a->exit_code = exit_code;
    if (a->started_ms && clock_boot_ms() - a->started_ms >= window)
        a->attempts = 0;
    if (!may_restart(a, exit_code)) {
        a->phase = AGENT_DONE;
        a->due_ms = 0;
        agent_say(a, exit_code == 0 ? TASK_COMPLETE : TASK_FAILED, message);
        return;
    }
    a->phase = AGENT_DELAY;
    a->due_ms = clock_boot_ms() + doubled(first, a->attempts++, DELAY_MAX_MS);
    agent_say(a, TASK_WAITING, message);
}

void agent_on_started(struct agent *a, const struct err *err)
{
    if (err->code == ERR_NOTFOUND) {
        /* Its image or files went away under it: from the top. */
        retry_later(a, err);
    } else if (err->code != 0) {
        on_run_ended(a, EXIT_NOT_STARTED, err->msg);
    } else {
        a->phase = AGENT_RUN;
        a->failures = 0;
        a->started_ms = clock_boot_ms();
        a->poll_ms = a->started_ms + LOOK_MS;
        health_begin(a);
        agent_say(a, TASK_RUNNING, "");
        agent_look(a); /* it may be over already */
    }
    agent_step(a);
}

void agent_on_looked(struct agent *a, const struct err *err, const struct container_state *state)
{
    bool running = a->phase == AGENT_RUN || a->phase == AGENT_STOP;
    char message[120] = "";
    a->poll_ms = clock_boot_ms() + LOOK_MS;
    if (!running)
        return;
    if (err->code != 0 && err->code != ERR_NOTFOUND) {
        log_warn("node", "look at %s: %s", a->id, err->msg);
        return;
    }
    if (err->code == 0 && state->status == CONTAINER_RUNNING) {
        agent_step(a);
        return;
    }
    int64_t code =
        err->code == 0 && state->status == CONTAINER_EXITED ? state->exit_code : EXIT_UNKNOWN;
    if (err->code != 0 || state->status != CONTAINER_EXITED)
        str_fill(message, sizeof(message), "its processes were killed from outside");
    else if (state->oom_killed)
        str_fill(message, sizeof(message),
                 "killed: out of memory (deploy.resources.limits.memory)");
    else if (code != 0)
        snprintf(message, sizeof(message), "exited with %lld", (long long)code);
    /* After a reboot its namespace is gone too: the next run begins with CREATE. */
    if (err->code != 0 || state->status != CONTAINER_EXITED)
        a->has_netns = false;
    a->health = HEALTH_NONE;
    if (a->phase == AGENT_STOP) {
        a->exit_code = code;
        a->phase = AGENT_REMOVE;
        a->due_ms = 0; /* the rest of its grace is not needed */
    } else {
        on_run_ended(a, code, message);
    }
    agent_step(a);
}

void agent_look(struct agent *a)
{
    if (a->busy || (a->phase != AGENT_RUN && a->phase != AGENT_STOP)) {
        a->poll_ms = clock_boot_ms(); /* as soon as it may */
        return;
    }
    agent_run_look(a);
}

/* --- the end --------------------------------------------------------------------------------- */

static void begin_end(struct agent *a)
{
    a->due_ms = 0;
    if (a->phase != AGENT_RUN) {
        a->phase = AGENT_REMOVE;
        return;
    }
    a->phase = AGENT_STOP;
    a->killed = false;
    int64_t grace = a->spec.stop_grace_ms ? a->spec.stop_grace_ms : GRACE_DEFAULT_MS;
    a->due_ms = clock_boot_ms() + grace;
    agent_run_signal(a);
}

void agent_on_signalled(struct agent *a, const struct err *err)
{
    if (err->code != 0 && err->code != ERR_NOTFOUND)
        log_warn("node", "stop %s: %s", a->id, err->msg);
    agent_look(a);
}

void agent_on_killed(struct agent *a, const struct err *err)
{
    if (err->code != 0) {
        log_warn("node", "kill %s: %s", a->id, err->msg);
        a->due_ms = clock_boot_ms() + RETRY_FIRST_MS;
        a->killed = false;
    }
    agent_look(a);
}

void agent_on_removed(struct agent *a, const struct err *err)
{
    if (err->code != 0) {
        log_warn("node", "remove %s: %s", a->id, err->msg);
        a->due_ms = clock_boot_ms() + doubled(RETRY_FIRST_MS, a->failures++, RETRY_MAX_MS);
        if (!task_is_terminal(a->state))
            agent_say(a, a->state, err->msg);
        return;
    }
    a->phase = AGENT_GONE;
    a->due_ms = 0;
    a->health = HEALTH_NONE;
    if (a->has_netns)
        netsync_request(a->daemon->netsync);
    a->has_netns = false;
    if (!task_is_terminal(a->state))
        agent_say(a, TASK_ENDED, "");
    if (a->row_gone)
        reconcile_wake(a->daemon->reconcile);
}

/* --- steps ----------------------------------------------------------------------------------- */

void agent_adopt(struct agent *a, const struct container_state *state)
{
    a->known = true;
    if (state->run > a->run)
        a->run = state->run;
    /* How many of its runs were short is not known: enough for a delay, never the last straw. */
    a->attempts = a->run > 0 ? a->run - 1 : 0;
    if (a->attempts > ADOPTED_ATTEMPTS_MAX)
        a->attempts = ADOPTED_ATTEMPTS_MAX;
    if (a->spec.restart.max_attempts > 0 && a->attempts >= a->spec.restart.max_attempts)
        a->attempts = a->spec.restart.max_attempts - 1;
    if (task_is_terminal(a->state)) {
        a->phase = AGENT_DONE;
    } else if (state->status == CONTAINER_CREATED) {
        a->phase = AGENT_FETCH;
    } else {
        /* Running or ended: the next look tells. */
        a->phase = AGENT_RUN;
        a->started_ms = clock_boot_ms();
        a->poll_ms = a->started_ms;
        if (state->status == CONTAINER_RUNNING) {
            a->has_netns = true;
            health_begin(a);
            if (a->task.health == HEALTH_HEALTHY)
                a->health = HEALTH_HEALTHY; /* until a check says otherwise */
            agent_say(a, TASK_RUNNING, "");
        }
    }
}

/* What the clock has for this phase. */
static void step_clock(struct agent *a, int64_t now)
{
    switch (a->phase) {
    case AGENT_DELAY:
        if (now >= a->due_ms) {
            a->due_ms = 0;
            a->phase = a->has_netns ? AGENT_START : AGENT_CREATE;
        }
        break;
    case AGENT_RETRY:
        if (now >= a->due_ms) {
            a->due_ms = 0;
            a->phase = AGENT_FETCH;
        }
        break;
    case AGENT_FETCH:
    case AGENT_CREATE:
    case AGENT_NETWORK:
    case AGENT_START:
    case AGENT_RUN:
    case AGENT_DONE:
    case AGENT_STOP:
    case AGENT_REMOVE:
    case AGENT_GONE:
        break;
    }
}

/* Begin the job that this phase asks for. */
static void step_work(struct agent *a, int64_t now)
{
    switch (a->phase) {
    case AGENT_FETCH:
        agent_say(a, TASK_FETCHING, "");
        agent_run_fetch(a);
        break;
    case AGENT_CREATE:
        agent_say(a, TASK_CREATING, "");
        agent_run_create(a);
        break;
    case AGENT_START:
        a->run++;
        a->started_ms = 0;
        agent_say(a, TASK_STARTING, "");
        agent_run_start(a);
        break;
    case AGENT_RUN:
        if (now >= a->poll_ms)
            agent_run_look(a);
        break;
    case AGENT_STOP:
        if (now >= a->due_ms && !a->killed) {
            a->killed = true;
            agent_run_kill(a);
        } else if (now >= a->poll_ms) {
            agent_run_look(a);
        }
        break;
    case AGENT_REMOVE:
        if (now >= a->due_ms)
            agent_run_remove(a);
        break;
    case AGENT_NETWORK:
    case AGENT_DELAY:
    case AGENT_RETRY:
    case AGENT_DONE:
    case AGENT_GONE:
        break;
    }
}

void agent_step(struct agent *a)
{
    if (a->busy || !a->known || a->daemon->stopping)
        return;
    int64_t now = clock_boot_ms();
    if (should_end(a) && a->phase < AGENT_STOP)
        begin_end(a);
    if (a->busy)
        return;
    step_clock(a, now);
    step_work(a, now);
    if (a->phase == AGENT_RUN)
        health_step(a);
    reconcile_arm(a->daemon->reconcile);
}

int64_t agent_due_ms(const struct agent *a)
{
    int64_t due = a->due_ms;
    bool looks = a->phase == AGENT_RUN || a->phase == AGENT_STOP;
    if (a->busy)
        return 0;
    if (looks && (due == 0 || a->poll_ms < due || a->killed))
        due = a->poll_ms;
    if (a->phase == AGENT_RUN && a->check_due_ms && !a->checking && a->check_due_ms < due)
        due = a->check_due_ms;
    return due;
}
