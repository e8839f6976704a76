/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - the state machine of one task on this node: from a row in the store to a container.
 *
 *   FETCH ──► CREATE ──► NETWORK ──► START ──► RUN ──exit──► (policy) ──► DONE
 *     │          │           │         ▲                        │
 *     └──────────┴─failed──► RETRY     └───── DELAY ◄───restart─┘
 *
 *   from anywhere, when the task is desired to end or its row is gone:
 *   RUN ──► DRAIN (out of DNS and ports) ──► STOP (signal, grace) ──► REMOVE ──► GONE
 *
 * A task that is held (DESIRED_READY) stays in START, says that it is ready, and goes on when it is
 * released.
 *
 * agent_step() moves it; it is called whenever something may have changed and does at most what is
 * due. Blocking work runs as a job (agent_jobs.c), one at a time per agent; its result is handled
 * on the loop. Nothing here is durable: after a restart the agent starts from the row and from what
 * the runtime says of the container (agent_adopt).
 */
#ifndef WHERRY_NODE_AGENT_H
#define WHERRY_NODE_AGENT_H

#include "base/err.h"
#include "runtime/container.h"
#include "store/model.h"

struct daemon;

enum agent_phase {
    AGENT_FETCH,
    AGENT_CREATE,
    AGENT_NETWORK,
    AGENT_START,
    AGENT_RUN,
    AGENT_ANEW,  /* the run is to end, not the task: signalled; killed at due_ms */
    AGENT_DELAY, /* until due_ms, then START, or CREATE when its namespace is gone */
    AGENT_RETRY, /* until due_ms, then FETCH: something before the start failed */
    AGENT_DONE,  /* complete or failed: it never runs again */
    AGENT_DRAIN, /* gets no new connections; signalled at due_ms */
    AGENT_STOP,  /* signalled; killed at due_ms */
    AGENT_REMOVE,
    AGENT_GONE, /* nothing of it is left here */
};

struct agent {
    struct agent *next;
    struct daemon *daemon;
    int64_t task_id;
    char id[24];      /* the container's: "t42" */
    char *netns;      /* path of its network namespace, or of that of task.network_task */
    struct task task; /* the row as last seen */
    struct spec spec; /* what the task runs */
    bool row_gone;    /* the store has no such task any more */
    bool known;       /* the runtime was asked what there is of it */

    enum agent_phase phase;
    bool busy;                  /* a job is under way */
    int64_t due_ms;             /* boot time of the next thing to do by the clock; 0: none */
    int64_t poll_ms;            /* boot time of the next look at a running container */
    int64_t network_generation; /* NETWORK: what must have been applied */
    bool has_netns;             /* its network namespace exists: part of the network state */

    int64_t run;
    int64_t attempts;           /* restarts since it last ran long enough */
    struct agent_job *fetching; /* a pull that may be cancelled, agent_jobs.c's */
    int64_t failures;           /* of what comes before the start */
    int64_t started_ms;         /* of the run under way, 0: it has not begun */
    bool killed;                /* STOP: the grace is over */
    bool files_due;             /* its configs or secrets may have another content than it has */
    int64_t files_ms;           /* boot time before which that is not tried again */
    unsigned limits_due; /* those (container_update_field) of the spec that the container lacks */

    /* Health: see health.c. */
    int64_t check_due_ms;
    int64_t check_failures;
    bool checking;
    int64_t deadline_ms; /* of a single service's run, as its shim has it */
    bool ailing;         /* the run is to be ended and begun anew */
    char ailment[120];   /* … for that reason */

    /* What we say of it. */
    enum task_state state;
    enum task_health health;
    int64_t exit_code;
    char message[200];
    int64_t oom_kills; /* of this run, that were noticed */
    char note[100];    /* what is said of it while it runs; "" */
    int64_t sequence;
    int64_t state_ms;
    bool ready;
    int64_t said_run; /* run, health and readiness that were said with it */
    enum task_health said_health;
    bool said_ready;
};

/* A new agent for @task (copied) that runs @spec (copied). */
struct agent *agent_new(struct daemon *d, const struct task *task, const struct spec *spec);

/* Free one that has no job under way. */
void agent_free(struct agent *a);

/* Take in the row as it is now; NULL when it is gone. */
void agent_set_task(struct agent *a, const struct task *task);

/* The agent here of the task whose network that of @a shares; NULL: it has its own, or the other is
 * gone. */
const struct agent *agent_host(const struct agent *a);

/* Start from a container that is here already. */
void agent_adopt(struct agent *a, const struct container_state *state);

/* Do what is due. */
void agent_step(struct agent *a);

/* When the clock next has something for it (boot time), 0: nothing. */
int64_t agent_due_ms(const struct agent *a);

/* The container's end was signalled, or it is time to look. */
void agent_look(struct agent *a);

/* The networks were applied as of @generation; our container is connected, or could not be. */
void agent_on_network(struct agent *a, int64_t generation, bool connected);

/* Boot time until which a task of a single service may run here; 0: it may not. */
int64_t agent_lease_until_ms(const struct agent *a);

/* The lease of this machine was renewed, or a second has passed: the end of a run of a single
 * service is put off, or it is ended while there is time for it. */
void agent_on_lease(struct agent *a);

/* Say @state, with @message ("" for none); queued as a report if it is news. */
void agent_say(struct agent *a, enum task_state state, const char *message);

/* What agent_say() said last, to be reported (again). */
void agent_report(struct agent *a);

/* --- agent_jobs.c: the blocking parts ----------------------------------------------------------
 * Each begins a job and sets a->busy; what it found comes on the loop to its handler below, exactly
 * once, which goes on with agent_step(). */

/* Have the image, by the spec's pull policy. */
void agent_run_fetch(struct agent *a);
/* The image is not wanted any more: a pull under way ends soon. */
void agent_cancel_fetch(struct agent *a);
/* Make the network namespace, the mounts and the container; it does not run yet. */
void agent_run_create(struct agent *a);
/* Begin run a->run of it, with a->deadline_ms as its end if that is not 0. */
void agent_run_start(struct agent *a);
/* Ask the runtime how it is. */
void agent_run_look(struct agent *a);
/* Send the stop signal. */
void agent_run_signal(struct agent *a);
/* Kill all of its processes. */
void agent_run_kill(struct agent *a);
/* Remove the container, its network namespace and its volumes without a name. */
void agent_run_remove(struct agent *a);
/* Change what a->limits_due says while it runs. */
void agent_run_limits(struct agent *a);

/* Put the present content of its configs and secrets in their places, and signal it. */
void agent_run_files(struct agent *a);

/* Handlers: err->code 0, or why it failed. Failures before the start are tried again with growing
 * delays; ERR_NOTFOUND of a look, a signal or a kill means that nothing runs any more. */
void agent_on_fetched(struct agent *a, const struct err *err);
void agent_on_created(struct agent *a, const struct err *err);
void agent_on_started(struct agent *a, const struct err *err);
/* @state is valid without an error, and borrowed. */
void agent_on_looked(struct agent *a, const struct err *err, const struct container_state *state);
void agent_on_signalled(struct agent *a, const struct err *err);
void agent_on_killed(struct agent *a, const struct err *err);
void agent_on_removed(struct agent *a, const struct err *err);
void agent_on_limited(struct agent *a, const struct err *err);
void agent_on_filed(struct agent *a, const struct err *err);

/* --- health.c --------------------------------------------------------------------------------- */

/* A run began: the first check is due after one interval. */
void health_begin(struct agent *a);

/* Check if it is due. */
void health_step(struct agent *a);

#endif
