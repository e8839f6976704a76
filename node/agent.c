/* SPDX-License-Identifier: Apache-2.0 */
#include "node/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/lease.h"
#include "node/netsync.h"
#include "node/reconcile.h"
#include "node/report.h"
#include "runtime/update.h"

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
    DRAIN_DEFAULT_MS = 500, /* all members have stopped sending connections by then */
    EXIT_UNKNOWN = 137,     /* killed: its shim or its machine was */
    EXIT_NOT_STARTED = 127,
    FILES_AGAIN_MS = 5000,
    LEASE_LAST_PART = 3,      /* of a lease, which is for its end */
    EXIT_UNHEALTHY = 1,       /* of a run that was ended for its health, and ended well */
    ADOPTED_ATTEMPTS_MAX = 5, /* of what restarted before we came */
};

struct agent *agent_new(struct daemon *d, const struct task *task, const struct spec *spec)
{
    struct agent *a = mem_alloc(1, sizeof(*a));
    a->daemon = d;
    a->task_id = task->id;
    snprintf(a->id, sizeof(a->id), "t%lld", (long long)task->id);
    a->netns = str_printf("%s/netns/t%lld", d->run_dir,
                          (long long)(task->network_task ? task->network_task : task->id));
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

const struct agent *agent_host(const struct agent *a)
{
    const struct agent *other = reconcile_agents(a->daemon->reconcile);
    while (other && other->task_id != a->task.network_task)
        other = other->next;
    return a->task.network_task ? other : NULL;
}

/* Those who share the network of @a may begin. */
static void wake_companions(const struct agent *a)
{
    for (const struct agent *other = reconcile_agents(a->daemon->reconcile); other;
         other = other->next)
        if (other->task.network_task == a->task_id && other->phase == AGENT_CREATE)
            reconcile_wake(a->daemon->reconcile);
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

static bool other_contents(const struct content_ref *a, size_t a_n, const struct content_ref *b,
                           size_t b_n)
{
    bool same = a_n == b_n;
    for (size_t i = 0; i < a_n && same; i++)
        same = str_equal(a[i].source, b[i].source);
    return !same;
}

static bool has_other_files(const struct spec *a, const struct spec *b)
{
    return other_contents(a->configs, a->configs_n, b->configs, b->configs_n) ||
           other_contents(a->secrets, a->secrets_n, b->secrets, b->secrets_n);
}

/* The task belongs to another revision now, for which it need not be replaced. */
static void take_spec(struct agent *a, const struct task *task)
{
    struct spec spec;
    if (store_task_spec(a->daemon->store, task, &spec) < 0)
        return;
    const struct resources *limits = &a->spec.limits;
    if (limits->cpu_milli != spec.limits.cpu_milli)
        a->limits_due |= CONTAINER_UPDATE_CPU;
    if (limits->memory_bytes != spec.limits.memory_bytes)
        a->limits_due |= CONTAINER_UPDATE_MEMORY;
    if (limits->pids != spec.limits.pids)
        a->limits_due |= CONTAINER_UPDATE_PIDS;
    if (a->spec.reservations.memory_bytes != spec.reservations.memory_bytes)
        a->limits_due |= CONTAINER_UPDATE_RESERVED;
    a->files_due = a->files_due || has_other_files(&a->spec, &spec);
    record_release(&spec_type, &a->spec);
    a->spec = spec;
}

void agent_set_task(struct agent *a, const struct task *task)
{
    a->row_gone = !task;
    if (task) {
        if (task->revision != a->task.revision)
            take_spec(a, task);
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
                                                              .state_ms = a->state_ms,
                                                              .attempts = a->attempts + a->failures,
                                                              .ready = a->ready});
}

void agent_say(struct agent *a, enum task_state state, const char *message)
{
    if (a->state == state && a->said_run == a->run && a->said_health == a->health &&
        a->said_ready == a->ready && strcmp(a->message, message) == 0)
        return;
    a->state = state;
    a->said_run = a->run;
    a->said_health = a->health;
    a->said_ready = a->ready;
    str_fill(a->message, sizeof(a->message), message);
    next_sequence(a);
    a->state_ms = clock_wall_ms();
    agent_report(a);
}

/* The delay before the try after @times others, at most @max. From the second on up to a quarter is
 * added, another one for each task and try: what failed together is not tried together. */
static int64_t doubled(const struct agent *a, int64_t first, int64_t times, int64_t max)
{
    int64_t delay = first;
    uint64_t h = (uint64_t)a->task.id * 0x9e3779b97f4a7c15U + (uint64_t)times;
    for (int64_t i = 0; i < times && delay < max; i++)
        delay *= 2;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9U;
    if (times > 0)
        delay += (int64_t)((h >> 33) % (uint64_t)(delay / 4 + 1));
    return delay < max ? delay : max;
}

/* --- before the start ------------------------------------------------------------------------ */

static void retry_later(struct agent *a, const struct err *err)
{
    a->phase = AGENT_RETRY;
    a->due_ms = clock_boot_ms() + doubled(a, RETRY_FIRST_MS, a->failures++, RETRY_MAX_MS);
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
        return !mode_is_job(a->spec.mode) || exit_code != 0;
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
    a->due_ms = clock_boot_ms() + doubled(a, first, a->attempts++, DELAY_MAX_MS);
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
        a->oom_kills = 0;
        a->note[0] = '\0';
        a->ailing = false;
        health_begin(a);
        agent_say(a, TASK_RUNNING, "");
        wake_companions(a);
        agent_look(a); /* it may be over already */
    }
    agent_step(a);
}

/* The container lives on without some of its processes: whoever looks at the task is to know. */
static void note_oom_kills(struct agent *a, int64_t kills)
{
    if (kills <= a->oom_kills || a->phase != AGENT_RUN)
        return;
    a->oom_kills = kills;
    snprintf(a->note, sizeof(a->note),
             "out of memory: %lld of its processes killed (deploy.resources.limits.memory)",
             (long long)kills);
    log_warn("node", "%s: %s", a->id, a->note);
    agent_say(a, TASK_RUNNING, a->note);
}

void agent_on_looked(struct agent *a, const struct err *err, const struct container_state *state)
{
    bool ending = a->phase == AGENT_DRAIN || a->phase == AGENT_STOP;
    bool anew = a->phase == AGENT_ANEW;
    bool running = a->phase == AGENT_RUN || anew || ending;
    char message[120] = "";
    a->poll_ms = clock_boot_ms() + LOOK_MS;
    if (!running)
        return;
    if (err->code != 0 && err->code != ERR_NOTFOUND) {
        log_warn("node", "look at %s: %s", a->id, err->msg);
        return;
    }
    if (err->code == 0 && state->status == CONTAINER_RUNNING) {
        note_oom_kills(a, state->oom_kills);
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
    if (ending) {
        a->exit_code = code;
        a->phase = AGENT_REMOVE;
        a->due_ms = 0; /* the rest of its grace is not needed */
    } else if (anew) {
        on_run_ended(a, code ? code : EXIT_UNHEALTHY, a->ailment);
    } else {
        on_run_ended(a, code, message);
    }
    agent_step(a);
}

void agent_look(struct agent *a)
{
    bool runs = a->phase == AGENT_RUN || a->phase == AGENT_ANEW || a->phase == AGENT_DRAIN ||
                a->phase == AGENT_STOP;
    if (a->busy || !runs) {
        a->poll_ms = clock_boot_ms(); /* as soon as it may */
        return;
    }
    agent_run_look(a);
}

/* --- the end --------------------------------------------------------------------------------- */

/* How long the task serves those who are connected after it got out of DNS and ports. Nobody is to
 * take over from a service that stops as a whole. */
static int64_t drain_ms(const struct agent *a)
{
    struct service service;
    bool job = mode_is_job(a->spec.mode);
    if (a->row_gone || job || a->task.addresses_n == 0 || a->spec.drain_ms < 0 ||
        store_get(a->daemon->store, TABLE_SERVICE, a->task.service_id, &service) < 0)
        return 0;
    bool stops = service.removed || service.stopped;
    record_release(&service_type, &service);
    return stops ? 0 : a->spec.drain_ms ? a->spec.drain_ms : DRAIN_DEFAULT_MS;
}

static void begin_end(struct agent *a)
{
    if (a->phase == AGENT_ANEW) { /* it has its signal, and so long until it is killed */
        a->phase = AGENT_STOP;
        return;
    }
    a->due_ms = 0;
    if (a->phase != AGENT_RUN) {
        a->phase = AGENT_REMOVE;
        return;
    }
    int64_t drain = drain_ms(a);
    a->phase = AGENT_DRAIN;
    a->due_ms = clock_boot_ms() + drain;
}

/* Boot time until which a task of a single service may run here; 0: it may not. */
int64_t agent_lease_until_ms(const struct agent *a)
{
    int64_t from = lease_from_ms(a->daemon->lease);
    return from > 0 ? from + spec_lease_ms(&a->spec) : 0;
}

void agent_on_lease(struct agent *a)
{
    int64_t now = clock_boot_ms();
    int64_t until = agent_lease_until_ms(a);
    bool runs = a->phase == AGENT_RUN || a->phase == AGENT_ANEW || a->phase == AGENT_DRAIN ||
                a->phase == AGENT_STOP;
    struct err err = {0};
    if (a->phase == AGENT_START && !a->busy)
        agent_step(a);
    if (!runs || until == 0)
        return; /* nothing was confirmed since the daemon started: what its shim knows holds */
    if (until > a->deadline_ms &&
        container_set_deadline(a->daemon->runtime, a->id, until, &err) < 0)
        log_warn("node", "put off the end of %s: %s", a->id, err.msg);
    else if (until > a->deadline_ms)
        a->deadline_ms = until;
    if (a->phase != AGENT_RUN || until - now > spec_lease_ms(&a->spec) / LEASE_LAST_PART)
        return;
    a->ailing = true;
    str_fill(a->ailment, sizeof(a->ailment), "its lease ran out: no leader confirmed it");
    agent_step(a);
}

static void begin_stop(struct agent *a, enum agent_phase phase)
{
    a->phase = phase;
    a->killed = false;
    a->ailing = false;
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

void agent_on_filed(struct agent *a, const struct err *err)
{
    if (err->code == 0 || err->code == ERR_NOTFOUND || a->phase != AGENT_RUN)
        return; /* or it does not run any more: the next run has them */
    log_warn("node", "%s: its configs and secrets: %s", a->id, err->msg);
    a->files_due = true;
    a->files_ms = clock_boot_ms() + FILES_AGAIN_MS;
}

void agent_on_limited(struct agent *a, const struct err *err)
{
    if (err->code != 0 && a->phase == AGENT_RUN) {
        log_warn("node", "%s: %s", a->id, err->msg);
        snprintf(a->note, sizeof(a->note), "its new limits do not hold: %.70s", err->msg);
        agent_say(a, TASK_RUNNING, a->note);
    }
    agent_step(a);
}

void agent_on_removed(struct agent *a, const struct err *err)
{
    if (err->code != 0) {
        log_warn("node", "remove %s: %s", a->id, err->msg);
        a->due_ms = clock_boot_ms() + doubled(a, RETRY_FIRST_MS, a->failures++, RETRY_MAX_MS);
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
    a->files_due = a->spec.configs_n + a->spec.secrets_n > 0; /* they may have changed meanwhile */
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
            wake_companions(a);
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
    case AGENT_ANEW:
    case AGENT_DONE:
    case AGENT_DRAIN:
    case AGENT_STOP:
    case AGENT_REMOVE:
    case AGENT_GONE:
        break;
    }
}

/* An address that its service asks for, and that each of its tasks has in its turn. */
static bool has_own_address(const struct spec *spec)
{
    for (size_t i = 0; i < spec->networks_n; i++)
        if (*str_or_empty(spec->networks[i].address))
            return true;
    return false;
}

/* Long enough to begin. */
static bool has_lease(const struct agent *a)
{
    int64_t left = agent_lease_until_ms(a) - clock_boot_ms();
    return left > spec_lease_ms(&a->spec) / 2;
}

/* One that shares a network begins when the other runs there. */
static bool has_network(const struct agent *a)
{
    const struct agent *host = agent_host(a);
    return a->task.network_task == 0 || (host && host->has_netns && host->phase == AGENT_RUN);
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
        if (!has_network(a)) {
            agent_say(a, TASK_WAITING, "waits for the task whose network it shares");
            break;
        }
        agent_say(a, TASK_CREATING, "");
        agent_run_create(a);
        break;
    case AGENT_START:
        if (a->ready && a->task.desired != DESIRED_READY && has_own_address(&a->spec)) {
            /* The task before had it until now. */
            a->ready = false;
            a->phase = AGENT_NETWORK;
            a->network_generation = netsync_request(a->daemon->netsync);
            break;
        }
        a->ready = a->task.desired == DESIRED_READY;
        if (a->ready) {
            agent_say(a, TASK_WAITING, "ready; waits for its turn");
            break;
        }
        if (a->spec.single && !has_lease(a)) {
            agent_say(a, TASK_WAITING, "waits for its lease: a leader must confirm it");
            break;
        }
        a->run++;
        a->started_ms = 0;
        a->deadline_ms = a->spec.single ? agent_lease_until_ms(a) : 0;
        agent_say(a, TASK_STARTING, "");
        agent_run_start(a);
        break;
    case AGENT_RUN:
        if (a->ailing) {
            agent_say(a, TASK_RUNNING, a->ailment);
            begin_stop(a, AGENT_ANEW);
        } else if (a->limits_due) {
            agent_run_limits(a);
            a->limits_due = 0;
        } else if (a->files_due && now >= a->files_ms) {
            agent_run_files(a);
            a->files_due = false;
        } else if (now >= a->poll_ms) {
            agent_run_look(a);
        }
        break;
    case AGENT_DRAIN:
        if (now >= a->due_ms)
            begin_stop(a, AGENT_STOP);
        else if (now >= a->poll_ms)
            agent_run_look(a);
        break;
    case AGENT_ANEW:
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
    if (should_end(a) && a->phase < AGENT_DRAIN)
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
    bool looks = a->phase == AGENT_RUN || a->phase == AGENT_ANEW || a->phase == AGENT_DRAIN ||
                 a->phase == AGENT_STOP;
    if (a->busy)
        return 0;
    if (looks && (due == 0 || a->poll_ms < due || a->killed))
        due = a->poll_ms;
    if (a->phase == AGENT_RUN && a->check_due_ms && !a->checking && a->check_due_ms < due)
        due = a->check_due_ms;
    return due;
}
