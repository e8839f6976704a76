/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a task on its node, edge by edge. What surrounds it is replaced at link
 * time: the clock, the jobs, the networks, the health checks, the store and the reports.
 */
#include "node/agent.h"
#include "node/daemon.h"
#include "node/lease.h"
#include "node/netsync.h"
#include "node/reconcile.h"
#include "node/report.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum job {
    NO_JOB,
    FETCH,
    CREATE,
    START,
    LOOK,
    SIGNAL,
    KILL,
    REMOVE,
    LIMITS,
    FILES,
};

static int64_t boot_ms;
static int64_t wall_ms;
static enum job job; /* under way */
static bool fetch_cancelled;
static int64_t generation;
static int health_begun;
static int64_t lease_from, deadline_set;
static struct task_observation said; /* its message is in said_message */
static char said_message[200];
static int reports;
static bool in_service;            /* its service's row is there … */
static struct service the_service; /* … and says this */
static struct spec next_spec;      /* of any other revision */

/* --- what surrounds an agent ------------------------------------------------------------------ */

int64_t clock_boot_ms(void)
{
    return boot_ms;
}
int64_t clock_wall_ms(void)
{
    return wall_ms;
}
int64_t clock_mono_ns(void)
{
    return boot_ms * 1000000;
}
void clock_format(int64_t at_ms, char *out, size_t size)
{
    snprintf(out, size, "%lld", (long long)at_ms);
}

static void begin(struct agent *a, enum job which)
{
    assert_false(a->busy);
    a->busy = true;
    job = which;
}
void agent_run_fetch(struct agent *a)
{
    fetch_cancelled = false;
    begin(a, FETCH);
}
void agent_cancel_fetch(struct agent *a)
{
    fetch_cancelled |= a->busy && job == FETCH;
}
void agent_run_create(struct agent *a)
{
    begin(a, CREATE);
}
void agent_run_start(struct agent *a)
{
    begin(a, START);
}
void agent_run_look(struct agent *a)
{
    begin(a, LOOK);
}
void agent_run_signal(struct agent *a)
{
    begin(a, SIGNAL);
}
void agent_run_kill(struct agent *a)
{
    begin(a, KILL);
}
void agent_run_remove(struct agent *a)
{
    begin(a, REMOVE);
}
void agent_run_limits(struct agent *a)
{
    begin(a, LIMITS);
}
void agent_run_files(struct agent *a)
{
    begin(a, FILES);
}
int store_get(struct store *store, enum table table, int64_t id, void *ret_row)
{
    (void)store;
    (void)id;
    assert_int_equal(table, TABLE_SERVICE);
    if (!in_service)
        return ERR_NOTFOUND;
    memcpy(ret_row, &the_service, sizeof(the_service));
    return 0;
}
int store_task_spec(struct store *store, const struct task *task, struct spec *ret_spec)
{
    (void)store;
    (void)task;
    record_copy(&spec_type, &next_spec, ret_spec);
    return 0;
}
int64_t lease_from_ms(const struct lease *l)
{
    (void)l;
    return lease_from;
}
int container_set_deadline(struct runtime *rt, const char *id, int64_t at_ms, struct err *err)
{
    (void)rt;
    (void)id;
    (void)err;
    deadline_set = at_ms;
    return 0;
}
void health_begin(struct agent *a)
{
    (void)a;
    health_begun++;
}
void health_step(struct agent *a)
{
    (void)a;
}
int64_t netsync_request(struct netsync *n)
{
    (void)n;
    return ++generation;
}
const char *netsync_error(const struct netsync *n)
{
    (void)n;
    return "no route";
}
void reconcile_arm(struct reconcile *r)
{
    (void)r;
}
static int woken;
static const struct agent *agents; /* of this node */
void reconcile_wake(struct reconcile *r)
{
    (void)r;
    woken++;
}
const struct agent *reconcile_agents(const struct reconcile *r)
{
    (void)r;
    return agents;
}
void report_task(struct report *r, const struct task_observation *o)
{
    (void)r;
    said = *o;
    snprintf(said_message, sizeof(said_message), "%s", o->message);
    reports++;
}

/* --- a task to play with ---------------------------------------------------------------------- */

struct play {
    struct daemon daemon;
    struct task task;
    struct spec spec;
    struct agent *agent;
};

static struct play *play_new(struct spec spec)
{
    struct play *p = mem_alloc(1, sizeof(*p));
    boot_ms = 1000000;
    wall_ms = 1700000000000;
    job = NO_JOB;
    generation = 0;
    reports = 0;
    health_begun = 0;
    lease_from = deadline_set = 0;
    in_service = false;
    agents = NULL;
    woken = 0;
    the_service = (struct service){0};
    said = (struct task_observation){0};
    log_set_level(LOG_LEVEL_ERROR);
    p->daemon.run_dir = "/run/x";
    p->task = (struct task){.id = 7, .slot = 1, .service = "web", .node_id = 1};
    p->task.addresses = mem_alloc(1, sizeof(struct task_address));
    p->task.addresses_n = 1;
    p->task.addresses[0].address = str_copy("10.192.16.5");
    p->spec = spec;
    p->agent = agent_new(&p->daemon, &p->task, &p->spec);
    p->agent->known = true;
    return p;
}

static void play_end(struct play *p)
{
    p->agent->busy = false;
    agent_free(p->agent);
    free(p->task.addresses[0].address);
    free(p->task.addresses);
    free(p);
}

static struct err error_of(int code)
{
    struct err err = {0};
    if (code)
        err_set(&err, code, "no luck");
    return err;
}

/* The job that is under way, which must be @which, ends with @code. As agent_jobs.c does it. */
static void ends(struct play *p, enum job which, int code)
{
    struct agent *a = p->agent;
    struct err err = error_of(code);
    assert_int_equal(job, which);
    assert_true(a->busy);
    a->busy = false;
    job = NO_JOB;
    switch (which) {
    case FETCH:
        agent_on_fetched(a, &err);
        break;
    case CREATE:
        agent_on_created(a, &err);
        break;
    case START:
        agent_on_started(a, &err);
        break;
    case SIGNAL:
        agent_on_signalled(a, &err);
        break;
    case KILL:
        agent_on_killed(a, &err);
        break;
    case REMOVE:
        agent_on_removed(a, &err);
        break;
    case LIMITS:
        agent_on_limited(a, &err);
        break;
    case FILES:
        agent_on_filed(p->agent, &err);
        break;
    case LOOK:
    case NO_JOB:
        fail();
    }
    agent_step(a);
}

static void looked(struct play *p, enum container_status status, int exit_code)
{
    struct container_state state = {.status = status, .run = p->agent->run, .exit_code = exit_code};
    struct err err = {0};
    assert_int_equal(job, LOOK);
    p->agent->busy = false;
    job = NO_JOB;
    agent_on_looked(p->agent, &err, &state);
    agent_step(p->agent);
}

static void network(struct play *p, bool connected)
{
    assert_int_equal(p->agent->phase, AGENT_NETWORK);
    agent_on_network(p->agent, generation, connected);
}

static void pass_ms(struct play *p, int64_t ms)
{
    boot_ms += ms;
    wall_ms += ms;
    agent_step(p->agent);
}

static void desire_end(struct play *p)
{
    struct task task = p->agent->task;
    struct task copy;
    record_copy(&task_type, &task, &copy);
    copy.desired = DESIRED_END;
    agent_set_task(p->agent, &copy);
    record_release(&task_type, &copy);
    agent_step(p->agent);
}

/* From the row to a running container. */
static void run_it(struct play *p)
{
    agent_step(p->agent);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    ends(p, START, 0);
    looked(p, CONTAINER_RUNNING, 0);
    assert_int_equal(p->agent->phase, AGENT_RUN);
}

static void is_gone(struct play *p)
{
    ends(p, REMOVE, 0);
    assert_int_equal(p->agent->phase, AGENT_GONE);
    assert_int_equal(job, NO_JOB);
    assert_false(p->agent->has_netns);
}

/* --- the way up ------------------------------------------------------------------------------- */

static void a_task_runs(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    agent_step(p->agent);
    assert_int_equal(said.state, TASK_FETCHING);
    ends(p, FETCH, 0);
    assert_int_equal(said.state, TASK_CREATING);
    ends(p, CREATE, 0);
    assert_int_equal(job, NO_JOB); /* the network first */
    agent_on_network(p->agent, generation - 1, true);
    assert_int_equal(p->agent->phase, AGENT_NETWORK); /* that one did not have it yet */
    network(p, true);
    assert_int_equal(said.state, TASK_STARTING);
    assert_int_equal(said.run, 1);
    ends(p, START, 0);
    assert_int_equal(said.state, TASK_RUNNING);
    assert_int_equal(health_begun, 1);
    looked(p, CONTAINER_RUNNING, 0);
    pass_ms(p, 2000);
    assert_int_equal(job, NO_JOB);
    pass_ms(p, 1000); /* a killed shim signals nothing: it is looked at now and then */
    looked(p, CONTAINER_RUNNING, 0);
    play_end(p);
}

static void without_networks_it_does_not_wait_for_one(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    free(p->agent->task.addresses[0].address);
    p->agent->task.addresses_n = 0;
    agent_step(p->agent);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    ends(p, START, 0);
    looked(p, CONTAINER_RUNNING, 0);
    play_end(p);
}

static void what_fails_before_the_start_is_tried_again_later_and_later(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    int64_t delay = 1000;
    agent_step(p->agent);
    for (int i = 0; i < 8; i++) {
        ends(p, FETCH, ERR_UNAVAILABLE);
        assert_int_equal(p->agent->phase, AGENT_RETRY);
        assert_int_equal(said.state, TASK_WAITING);
        assert_string_equal(said_message, "no luck");
        pass_ms(p, delay - 1);
        assert_int_equal(job, NO_JOB);
        pass_ms(p, delay / 4 + 1);
        delay = delay * 2 < 30000 ? delay * 2 : 30000;
    }
    ends(p, FETCH, 0);
    ends(p, CREATE, ERR_IO);
    assert_int_equal(p->agent->phase, AGENT_RETRY);
    pass_ms(p, 30000);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, false);
    assert_int_equal(p->agent->phase, AGENT_RETRY);
    assert_string_equal(said_message, "network: no route");
    pass_ms(p, 30000);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    ends(p, START, ERR_NOTFOUND); /* its image was removed under it: from the top */
    assert_int_equal(p->agent->phase, AGENT_RETRY);
    pass_ms(p, 30000);
    ends(p, FETCH, 0);
    play_end(p);
}

/* --- the end of a run --------------------------------------------------------------------------
 */

static void exits(struct play *p, int code)
{
    agent_look(p->agent);
    looked(p, CONTAINER_EXITED, code);
}

static void it_restarts_after_a_growing_delay(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.restart = {.delay_ms = 100}});
    run_it(p);
    exits(p, 3);
    assert_int_equal(said.state, TASK_WAITING);
    assert_int_equal(said.exit_code, 3);
    pass_ms(p, 99);
    assert_int_equal(job, NO_JOB);
    pass_ms(p, 1);
    ends(p, START, 0);
    assert_int_equal(said.run, 2);
    looked(p, CONTAINER_EXITED, 3);
    pass_ms(p, 100);
    assert_int_equal(job, NO_JOB);
    pass_ms(p, 150);
    ends(p, START, 0);
    looked(p, CONTAINER_RUNNING, 0);
    boot_ms += 10000; /* a run that was long enough resets it */
    exits(p, 0);
    pass_ms(p, 100);
    ends(p, START, 0);
    play_end(p);
}

static void a_start_that_fails_counts_as_an_attempt(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.restart = {.delay_ms = 100, .max_attempts = 2}});
    run_it(p);
    boot_ms += 60000; /* the run before was long: that says nothing about the starts after it */
    exits(p, 1);
    pass_ms(p, 100);
    ends(p, START, ERR_FAILED);
    assert_int_equal(p->agent->phase, AGENT_DELAY);
    pass_ms(p, 250);
    ends(p, START, ERR_FAILED);
    assert_int_equal(p->agent->phase, AGENT_DONE);
    assert_int_equal(said.state, TASK_FAILED);
    assert_int_equal(said.exit_code, 127);
    play_end(p);
}

static void end_of_run(struct spec spec, int code, enum agent_phase phase, enum task_state told)
{
    struct play *p = play_new(spec);
    run_it(p);
    exits(p, code);
    assert_int_equal(p->agent->phase, phase);
    assert_int_equal(said.state, told);
    play_end(p);
}

static void the_policy_decides(void **state)
{
    (void)state;
    struct spec any = {.restart = {.condition = RESTART_ANY}};
    struct spec failure = {.restart = {.condition = RESTART_ON_FAILURE}};
    struct spec none = {.restart = {.condition = RESTART_NONE}};
    struct spec work = {.mode = MODE_REPLICATED_JOB, .restart = {.condition = RESTART_ANY}};
    end_of_run(any, 0, AGENT_DELAY, TASK_WAITING);
    end_of_run(any, 1, AGENT_DELAY, TASK_WAITING);
    end_of_run(failure, 0, AGENT_DONE, TASK_COMPLETE);
    end_of_run(failure, 1, AGENT_DELAY, TASK_WAITING);
    end_of_run(none, 0, AGENT_DONE, TASK_COMPLETE);
    end_of_run(none, 1, AGENT_DONE, TASK_FAILED);
    end_of_run(work, 0, AGENT_DONE, TASK_COMPLETE);
    end_of_run(work, 1, AGENT_DELAY, TASK_WAITING);
}

static void a_lost_shim_and_a_reboot_begin_with_the_files(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    agent_look(p->agent);
    looked(p, CONTAINER_SHIM_LOST, 0);
    assert_int_equal(said.exit_code, 137);
    assert_int_equal(p->agent->phase, AGENT_DELAY);
    pass_ms(p, 1000);
    ends(p, CREATE, 0); /* its namespace may be gone too */
    network(p, true);
    ends(p, START, 0);
    assert_int_equal(said.run, 2);
    play_end(p);
}

/* --- the end of the task ------------------------------------------------------------------------
 */

static void a_running_task_is_asked_then_removed_at_once(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.stop_grace_ms = 60000});
    run_it(p);
    desire_end(p);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    assert_int_equal(job, REMOVE); /* not only when the grace is over */
    is_gone(p);
    assert_int_equal(said.state, TASK_ENDED);
    play_end(p);
}

/* It leaves DNS and ports first: nobody is connected to a task that was signalled. */
static void a_running_task_drains_before_it_is_asked(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.drain_ms = 3000});
    run_it(p);
    in_service = true;
    desire_end(p);
    assert_int_equal(p->agent->phase, AGENT_DRAIN);
    pass_ms(p, 2999);
    assert_int_not_equal(job, SIGNAL);
    pass_ms(p, 1);
    if (job == LOOK)
        looked(p, CONTAINER_RUNNING, 0);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    is_gone(p);
    play_end(p);
}

static void nobody_takes_over_from_a_service_that_stops(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.drain_ms = 3000});
    run_it(p);
    in_service = true;
    the_service.stopped = true;
    desire_end(p);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    is_gone(p);
    play_end(p);
}

static void desire(struct play *p, enum task_desired desired, int64_t revision)
{
    struct task copy;
    record_copy(&task_type, &p->agent->task, &copy);
    copy.desired = desired;
    copy.revision = revision;
    agent_set_task(p->agent, &copy);
    record_release(&task_type, &copy);
    agent_step(p->agent);
}

static void a_held_task_gets_ready_and_waits(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    desire(p, DESIRED_READY, 0);
    ends(p, FETCH, ERR_TIMEOUT);
    assert_false(said.ready);
    pass_ms(p, 1000);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    assert_int_equal(job, NO_JOB);
    assert_true(said.ready);
    assert_int_equal(said.state, TASK_WAITING);
    pass_ms(p, 60000);
    assert_int_equal(job, NO_JOB);
    desire(p, DESIRED_RUN, 0);
    ends(p, START, 0);
    looked(p, CONTAINER_RUNNING, 0);
    assert_false(said.ready);
    assert_int_equal(said.state, TASK_RUNNING);
    play_end(p);
}

static void a_held_task_that_is_not_needed_goes(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    desire(p, DESIRED_READY, 0);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    desire(p, DESIRED_END, 0);
    is_gone(p);
    play_end(p);
}

static void another_content_of_its_files_is_put_in_place(void **state)
{
    (void)state;
    struct content_ref one = {.source = "site@1", .target = "/site"};
    struct content_ref two = {.source = "site@2", .target = "/site"};
    struct play *p = play_new(
        (struct spec){.configs = &one, .configs_n = 1, .on_change = (char *)(uintptr_t) "HUP"});
    next_spec =
        (struct spec){.configs = &two, .configs_n = 1, .on_change = (char *)(uintptr_t) "HUP"};
    run_it(p);
    assert_int_equal(job, NO_JOB);
    desire(p, DESIRED_RUN, 2);
    ends(p, FILES, ERR_UNAVAILABLE);
    assert_int_equal(job, NO_JOB); /* not at once again */
    pass_ms(p, 6000);
    ends(p, FILES, 0);
    assert_int_not_equal(job, FILES);
    play_end(p);
}

static void other_limits_reach_the_container_that_runs(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.limits.cpu_milli = 500});
    next_spec = (struct spec){.limits.cpu_milli = 700};
    run_it(p);
    desire(p, DESIRED_RUN, 2);
    assert_int_equal(p->agent->spec.limits.cpu_milli, 700);
    ends(p, LIMITS, ERR_UNSUPPORTED);
    assert_non_null(strstr(said_message, "its new limits do not hold: no luck"));
    desire(p, DESIRED_RUN, 3);
    assert_int_equal(job, NO_JOB); /* they are the same */
    play_end(p);
}

static void one_that_does_not_listen_is_killed(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.stop_grace_ms = 5000});
    run_it(p);
    desire_end(p);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_RUNNING, 0);
    pass_ms(p, 4999);
    looked(p, CONTAINER_RUNNING, 0);
    pass_ms(p, 1);
    ends(p, KILL, ERR_TIMEOUT);
    looked(p, CONTAINER_RUNNING, 0);
    pass_ms(p, 1000);
    ends(p, KILL, 0);
    looked(p, CONTAINER_EXITED, 137);
    is_gone(p);
    play_end(p);
}

static void an_unhealthy_run_is_begun_anew(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.restart = {.delay_ms = 100}, .stop_grace_ms = 5000});
    run_it(p);
    p->agent->ailing = true;
    str_fill(p->agent->ailment, sizeof(p->agent->ailment), "unhealthy, it says no");
    agent_step(p->agent);
    assert_int_equal(p->agent->phase, AGENT_ANEW);
    assert_int_equal(said.state, TASK_RUNNING);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_RUNNING, 0);
    pass_ms(p, 5000);
    ends(p, KILL, 0);
    looked(p, CONTAINER_EXITED, 0);
    assert_int_equal(p->agent->phase, AGENT_DELAY);
    assert_int_equal(said.state, TASK_WAITING);
    assert_string_equal(said_message, "unhealthy, it says no");
    assert_int_equal(said.attempts, 1);
    pass_ms(p, 100);
    ends(p, START, 0);
    assert_int_equal(said.run, 2);
    assert_false(p->agent->ailing);
    play_end(p);
}

static void unhealthy_for_good(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.restart = {.condition = RESTART_NONE}});
    run_it(p);
    p->agent->ailing = true;
    agent_step(p->agent);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    assert_int_equal(p->agent->phase, AGENT_DONE);
    assert_int_equal(said.state, TASK_FAILED); /* though it ended well */
    play_end(p);
}

static void a_task_may_end_while_its_run_does(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.stop_grace_ms = 5000});
    run_it(p);
    p->agent->ailing = true;
    agent_step(p->agent);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_RUNNING, 0);
    desire_end(p);
    assert_int_equal(p->agent->phase, AGENT_STOP); /* with the grace it has left */
    pass_ms(p, 5000);
    ends(p, KILL, 0);
    looked(p, CONTAINER_EXITED, 137);
    is_gone(p);
    play_end(p);
}

static void a_single_one_runs_on_a_lease_only(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){
        .single = true, .lease_ms = 9000, .stop_grace_ms = 1000, .restart = {.delay_ms = 100}});
    agent_step(p->agent);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    assert_int_equal(p->agent->phase, AGENT_START);
    assert_int_equal(job, NO_JOB);
    assert_string_equal(said_message, "waits for its lease: a leader must confirm it");
    lease_from = boot_ms - 5000; /* it would soon be over */
    agent_on_lease(p->agent);
    assert_int_equal(job, NO_JOB);
    lease_from = boot_ms - 1000;
    agent_on_lease(p->agent);
    assert_int_equal(p->agent->deadline_ms, boot_ms + 8000);
    ends(p, START, 0);
    looked(p, CONTAINER_RUNNING, 0);
    boot_ms += 2000;
    lease_from = boot_ms;
    agent_on_lease(p->agent); /* put off */
    assert_int_equal(deadline_set, boot_ms + 9000);
    boot_ms += 5000;
    agent_on_lease(p->agent);
    assert_int_equal(p->agent->phase, AGENT_RUN);
    boot_ms += 1000; /* a third is left: for its end */
    agent_on_lease(p->agent);
    assert_int_equal(p->agent->phase, AGENT_ANEW);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    assert_int_equal(p->agent->phase, AGENT_DELAY);
    assert_string_equal(said_message, "its lease ran out: no leader confirmed it");
    pass_ms(p, 100);
    assert_int_equal(p->agent->phase, AGENT_START); /* and waits for another */
    assert_int_equal(job, NO_JOB);
    play_end(p);
}

static void a_removal_that_fails_is_tried_again_and_said(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    desire_end(p);
    ends(p, SIGNAL, ERR_NOTFOUND);
    looked(p, CONTAINER_EXITED, 0);
    ends(p, REMOVE, ERR_BUSY);
    assert_string_equal(said_message, "no luck");
    assert_int_equal(job, NO_JOB);
    pass_ms(p, 1000);
    is_gone(p);
    play_end(p);
}

/* The end is desired while the job @during is under way. */
static void end_during(enum job during)
{
    struct play *p = play_new((struct spec){0});
    agent_step(p->agent);
    while (job != during) {
        if (job == NO_JOB)
            network(p, true);
        else
            ends(p, job, 0);
    }
    desire_end(p);
    assert_int_equal(job, during); /* one job at a time */
    assert_int_equal(fetch_cancelled, during == FETCH);
    if (during == START) {
        ends(p, START, 0);
        looked(p, CONTAINER_RUNNING, 0);
        ends(p, SIGNAL, 0);
        looked(p, CONTAINER_EXITED, 0);
    } else {
        ends(p, during, during == FETCH ? ERR_CANCELED : 0);
    }
    is_gone(p);
    assert_int_equal(said.state, TASK_ENDED);
    play_end(p);
}

static void the_end_may_come_in_any_phase(void **state)
{
    (void)state;
    end_during(FETCH);
    end_during(CREATE);
    end_during(START);

    struct play *p = play_new((struct spec){0});
    agent_step(p->agent);
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    desire_end(p); /* NETWORK */
    is_gone(p);
    agent_on_network(p->agent, generation, true); /* comes late */
    assert_int_equal(p->agent->phase, AGENT_GONE);
    play_end(p);

    p = play_new((struct spec){0});
    agent_step(p->agent);
    ends(p, FETCH, ERR_IO);
    desire_end(p); /* RETRY */
    is_gone(p);
    play_end(p);

    p = play_new((struct spec){0});
    run_it(p);
    exits(p, 1);
    desire_end(p); /* DELAY */
    is_gone(p);
    assert_int_equal(said.state, TASK_ENDED);
    play_end(p);

    p = play_new((struct spec){.restart = {.condition = RESTART_NONE}});
    run_it(p);
    exits(p, 1);
    desire_end(p); /* DONE */
    is_gone(p);
    assert_int_equal(said.state, TASK_FAILED); /* what it was is not overwritten */
    play_end(p);
}

static void a_row_that_is_gone_ends_it_without_a_word(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    int before = reports;
    agent_set_task(p->agent, NULL);
    agent_step(p->agent);
    ends(p, SIGNAL, 0);
    looked(p, CONTAINER_EXITED, 0);
    is_gone(p);
    assert_int_equal(reports, before);
    play_end(p);
}

/* --- after a restart of the daemon --------------------------------------------------------------
 */

static struct play *adopted(struct spec spec, enum task_state told, int64_t run,
                            struct container_state found)
{
    struct play *p = play_new(spec);
    p->agent->state = told;
    p->agent->run = run;
    agent_adopt(p->agent, &found);
    agent_step(p->agent);
    return p;
}

static void what_runs_is_adopted(void **state)
{
    (void)state;
    struct play *p = adopted((struct spec){0}, TASK_STARTING, 3,
                             (struct container_state){.status = CONTAINER_RUNNING, .run = 4});
    assert_int_equal(said.state, TASK_RUNNING);
    assert_int_equal(said.run, 4);
    assert_true(p->agent->has_netns);
    assert_int_equal(health_begun, 1);
    looked(p, CONTAINER_RUNNING, 0);
    assert_int_equal(p->agent->phase, AGENT_RUN);
    play_end(p);
}

static void what_ended_meanwhile_is_told_with_its_code(void **state)
{
    (void)state;
    struct spec once = {.restart = {.condition = RESTART_NONE}};
    struct play *p = adopted(once, TASK_RUNNING, 1,
                             (struct container_state){.status = CONTAINER_EXITED, .run = 1});
    looked(p, CONTAINER_EXITED, 42);
    assert_int_equal(said.state, TASK_FAILED);
    assert_int_equal(said.exit_code, 42);
    play_end(p);
}

static void what_was_only_made_goes_on(void **state)
{
    (void)state;
    struct play *p = adopted((struct spec){0}, TASK_CREATING, 0,
                             (struct container_state){.status = CONTAINER_CREATED});
    ends(p, FETCH, 0);
    ends(p, CREATE, 0);
    network(p, true);
    ends(p, START, 0);
    assert_int_equal(said.run, 1);
    play_end(p);
}

static void what_was_over_stays_over(void **state)
{
    (void)state;
    struct play *p = adopted((struct spec){0}, TASK_FAILED, 1,
                             (struct container_state){.status = CONTAINER_EXITED, .run = 1});
    assert_int_equal(job, NO_JOB);
    assert_int_equal(p->agent->phase, AGENT_DONE);
    desire_end(p);
    is_gone(p);
    play_end(p);
}

static void an_adopted_one_has_the_lease_its_shim_knows(void **state)
{
    (void)state;
    struct play *p = adopted((struct spec){.single = true}, TASK_RUNNING, 1,
                             (struct container_state){.status = CONTAINER_RUNNING, .run = 1});
    looked(p, CONTAINER_RUNNING, 0);
    agent_on_lease(p->agent); /* nothing was confirmed yet: that is no reason to end it */
    assert_int_equal(p->agent->phase, AGENT_RUN);
    assert_int_equal(deadline_set, 0);
    lease_from = boot_ms;
    agent_on_lease(p->agent);
    assert_int_equal(deadline_set, boot_ms + LEASE_DEFAULT_MS);
    play_end(p);
}

static void many_runs_before_are_not_the_last_straw(void **state)
{
    (void)state;
    struct spec spec = {.restart = {.max_attempts = 3, .delay_ms = 100}};
    struct play *p = adopted(spec, TASK_RUNNING, 50,
                             (struct container_state){.status = CONTAINER_RUNNING, .run = 50});
    looked(p, CONTAINER_EXITED, 1);
    assert_int_equal(p->agent->phase, AGENT_DELAY);
    pass_ms(p, 60000);
    ends(p, START, 0);
    looked(p, CONTAINER_EXITED, 1);
    assert_int_equal(p->agent->phase, AGENT_DONE);
    play_end(p);
}

/* --- reports ------------------------------------------------------------------------------------
 */

static void row_says(struct play *p, int64_t sequence, enum task_state told)
{
    struct task copy;
    record_copy(&task_type, &p->agent->task, &copy);
    copy.sequence = sequence;
    copy.state = told;
    agent_set_task(p->agent, &copy);
    record_release(&task_type, &copy);
}

static void a_word_that_did_not_arrive_is_said_again(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    int64_t sequence = said.sequence;
    int before = reports;
    row_says(p, sequence, TASK_RUNNING);
    assert_int_equal(reports, before); /* it arrived */
    row_says(p, sequence - 1, TASK_STARTING);
    assert_int_equal(reports, before + 1);
    assert_int_equal(said.sequence, sequence);
    play_end(p);
}

static void an_older_process_does_not_have_the_last_word(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    int64_t theirs = said.sequence + 5;
    row_says(p, theirs, TASK_WAITING);
    assert_true(said.sequence > theirs);
    assert_int_equal(said.state, TASK_RUNNING);
    play_end(p);
}

static void sequences_of_a_new_process_are_beyond_the_old_ones(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){0});
    run_it(p);
    int64_t before = said.sequence;
    play_end(p);
    /* The row as it was before all of that: our copy of the state lags. */
    p = play_new((struct spec){0});
    wall_ms = 1700000000000 + 1000;
    run_it(p);
    assert_true(said.sequence > before);
    play_end(p);
}

static void once_over_nothing_is_said_any_more(void **state)
{
    (void)state;
    struct play *p = play_new((struct spec){.restart = {.condition = RESTART_NONE}});
    run_it(p);
    exits(p, 0);
    int before = reports;
    row_says(p, said.sequence - 1, TASK_COMPLETE);
    assert_int_equal(reports, before);
    play_end(p);
}

/* A task in the network of another begins when that one runs. */
static void a_companion_waits_for_the_other(void **state)
{
    (void)state;
    struct play *host = play_new((struct spec){0});
    struct play *p = play_new((struct spec){.network_of = (char[]){"vpn"}});
    agent_free(p->agent);
    p->task.id = 8;
    p->task.network_task = 7;
    p->task.addresses_n = 0;
    p->agent = agent_new(&p->daemon, &p->task, &p->spec);
    p->task.addresses_n = 1;
    p->agent->known = true;
    assert_string_equal(p->agent->netns, "/run/x/netns/t7");
    agent_step(p->agent);
    ends(p, FETCH, 0);
    assert_int_equal(job, NO_JOB); /* the other is not here yet */
    assert_string_equal(said_message, "waits for the task whose network it shares");
    host->agent->next = p->agent;
    agents = host->agent;
    agent_step(p->agent);
    assert_int_equal(job, NO_JOB); /* … or does not run */
    agent_step(host->agent);
    ends(host, FETCH, 0);
    ends(host, CREATE, 0);
    network(host, true);
    ends(host, START, 0);
    assert_int_equal(woken, 1);
    agent_step(p->agent);
    ends(p, CREATE, 0);
    ends(p, START, 0);
    assert_int_equal(said.state, TASK_RUNNING);
    p->agent->next = host->agent->next = NULL;
    play_end(p);
    play_end(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_companion_waits_for_the_other),
        cmocka_unit_test(a_task_runs),
        cmocka_unit_test(without_networks_it_does_not_wait_for_one),
        cmocka_unit_test(what_fails_before_the_start_is_tried_again_later_and_later),
        cmocka_unit_test(it_restarts_after_a_growing_delay),
        cmocka_unit_test(a_start_that_fails_counts_as_an_attempt),
        cmocka_unit_test(the_policy_decides),
        cmocka_unit_test(a_lost_shim_and_a_reboot_begin_with_the_files),
        cmocka_unit_test(a_running_task_is_asked_then_removed_at_once),
        cmocka_unit_test(one_that_does_not_listen_is_killed),
        cmocka_unit_test(a_running_task_drains_before_it_is_asked),
        cmocka_unit_test(nobody_takes_over_from_a_service_that_stops),
        cmocka_unit_test(a_held_task_gets_ready_and_waits),
        cmocka_unit_test(a_held_task_that_is_not_needed_goes),
        cmocka_unit_test(another_content_of_its_files_is_put_in_place),
        cmocka_unit_test(other_limits_reach_the_container_that_runs),
        cmocka_unit_test(a_single_one_runs_on_a_lease_only),
        cmocka_unit_test(an_adopted_one_has_the_lease_its_shim_knows),
        cmocka_unit_test(an_unhealthy_run_is_begun_anew),
        cmocka_unit_test(unhealthy_for_good),
        cmocka_unit_test(a_task_may_end_while_its_run_does),
        cmocka_unit_test(a_removal_that_fails_is_tried_again_and_said),
        cmocka_unit_test(the_end_may_come_in_any_phase),
        cmocka_unit_test(a_row_that_is_gone_ends_it_without_a_word),
        cmocka_unit_test(what_runs_is_adopted),
        cmocka_unit_test(what_ended_meanwhile_is_told_with_its_code),
        cmocka_unit_test(what_was_only_made_goes_on),
        cmocka_unit_test(what_was_over_stays_over),
        cmocka_unit_test(many_runs_before_are_not_the_last_straw),
        cmocka_unit_test(a_word_that_did_not_arrive_is_said_again),
        cmocka_unit_test(an_older_process_does_not_have_the_last_word),
        cmocka_unit_test(sequences_of_a_new_process_are_beyond_the_old_ones),
        cmocka_unit_test(once_over_nothing_is_said_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
