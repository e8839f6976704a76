/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler - decide what the cluster should run next, and where.
 *
 * One pure function: it reads a view (services, tasks and nodes as of one raft index) and writes a
 * plan (the changes the leader should propose). It does no I/O, reads no clock, draws no random
 * number and keeps nothing between calls, so the same view always gives the same plan. That is
 * what lets any member say why something waits, and a new leader carry on where the old one stopped
 * with nothing handed over.
 *
 * A plan is one step, not the whole journey: start what is missing, replace at most
 * spec.update.parallelism, stop the surplus. The leader proposes it and asks again once it has
 * applied. Every change names the index it was planned at, so one that comes too late is refused by
 * apply rather than half true.
 *
 *     struct view view = {.now_ms = …, .nodes = …};
 *     struct plan plan = {0};
 *     scheduler_plan(&view, &plan);
 *     propose plan.steps …; ask again at plan.wake_ms, or when the store changes
 *     plan_release(&plan);
 */
#ifndef WHERRY_SCHEDULER_SCHEDULER_H
#define WHERRY_SCHEDULER_SCHEDULER_H

#include "store/model.h"

struct buf;

/* When a job with a schedule is to run: what its schedule makes of the present time. */
struct due {
    int64_t service_id;
    int64_t at_ms;   /* the last time that has come and was not dealt with yet; 0: none */
    int64_t next_ms; /* the first that is to come; INT64_MAX: none */
};

/* A node that is down or gone: it has been getting no leases since then. */
struct outage {
    int64_t node_id;
    int64_t since_ms;
};

/* Everything a plan depends on. Arrays are borrowed and sorted by id. */
struct view {
    int64_t now_ms;
    int level;         /* of the changes that may be planned (store/level.h) */
    bool no_rebalance; /* of the cluster */
    bool overlap;      /* the store takes a successor beside a task that leaves a draining node */
    const struct node *nodes;
    size_t nodes_n;
    const struct service *services;
    size_t services_n;
    const struct task *tasks;
    size_t tasks_n;
    const struct revision *revisions; /* specs of tasks that run an older one */
    size_t revisions_n;
    const struct volume *volumes; /* for their homes */
    size_t volumes_n;
    const struct job_run *runs; /* of jobs, under way and over */
    size_t runs_n;
    const struct due *dues; /* by service id; a job that has none is not begun by its schedule */
    size_t dues_n;
    /* Known to the leader only. A node that is down and not listed may hold leases for all one
     * knows. */
    const struct outage *outages;
    size_t outages_n;
};

/* Why a node was turned down for a replica. Filters run in this order and a node is counted once,
 * under the first that refuses it. */
enum refusal {
    REFUSED_WITNESS,      /* It votes and does nothing else. */
    REFUSED_DOWN,         /* The leader has lost touch with it. */
    REFUSED_PAUSED,       /* An operator wants no new tasks on it. */
    REFUSED_DRAINING,     /* An operator asked for it to be emptied. */
    REFUSED_PLATFORM,     /* Another system or processor than spec.platform. */
    REFUSED_CONSTRAINT,   /* Lacks what spec.constraints asks for. */
    REFUSED_VOLUME,       /* The home of one of its volumes is another node. */
    REFUSED_CPU,          /* Too little CPU left unreserved. */
    REFUSED_MEMORY,       /* Too little memory left unreserved. */
    REFUSED_RESOURCE,     /* Too few of a generic resource left, or it has none. */
    REFUSED_MAX_PER_NODE, /* Has as many tasks of the service as it may. */
    REFUSED_MAX
};

enum step_kind {
    STEP_CREATE,         /* a task for @slot of @service_id on @node_id */
    STEP_RELEASE,        /* start @task_id, which was held */
    STEP_MOVE,           /* @task_id is to go to @node_id, or anywhere else (-1) */
    STEP_ROLLOUT,        /* the rollout of @revision of @service_id is in state @rollout */
    STEP_END,            /* stop @task_id */
    STEP_REMOVE,         /* forget @task_id, which is over */
    STEP_REMOVE_SERVICE, /* @service_id is marked removed and has no task left */
    STEP_JOB_START,      /* a run of @service_id begins, for @scheduled_ms if that is given */
    STEP_JOB_SKIP,       /* … is due, but does not begin, for @reason */
    STEP_JOB_END,        /* run @job_id is over, as @job_state */
};

/* One change to propose. */
struct step {
    enum step_kind kind;
    int64_t service_id;
    int64_t service_index; /* the service's modified_index: what it was planned from */
    int64_t slot;
    int64_t node_id;
    int64_t task_id;
    bool lost;   /* STEP_REMOVE: its node is gone */
    bool beside; /* STEP_CREATE: the slot's task runs on for now */
    bool hold;   /* STEP_CREATE: it gets ready, and starts when it is released */
    int64_t revision;
    enum rollout_state rollout;
    int64_t job_id;       /* STEP_CREATE: the run it is of */
    int64_t network_task; /* STEP_CREATE: whose network it is in; 0: its own */
    enum job_state job_state;
    int64_t scheduled_ms;
    char reason[160]; /* STEP_END, STEP_MOVE, STEP_ROLLOUT: "node n3 is down" */
};

/* A slot that has to wait. It may have a task: one whose node is down or that should be replaced,
 * which stays as it is until its successor has somewhere to go. */
struct unplaced {
    int64_t service_id;
    int64_t slot;                 /* 0: a global service for which no node will do */
    int64_t refused[REFUSED_MAX]; /* nodes turned down, by reason */
    int64_t nodes;                /* nodes looked at */
    char platform[44];            /* what spec.platform asks for */
    char waits_for[96];           /* not for a node: "app.db to be healthy"; else "" */
};

struct plan {
    struct step *steps;
    size_t steps_n;
    struct unplaced *unplaced;
    size_t unplaced_n;
    int64_t wake_ms; /* ask again then even if nothing changes; 0: no need */
};

/* Plan the next step for @view, whose now_ms is the only time there is.
 *
 * Steps are to be proposed in their order: a task is ended before another takes its slot. A task
 * that is over though it is meant to run (it completed, or its node gave up on it) has had its last
 * word until the next revision. Of a service, 65,536 slots are looked at.
 *
 * Cannot fail: a replica with nowhere to go lands in plan->unplaced. @plan must be zeroed on
 * entry. */
void scheduler_plan(const struct view *view, struct plan *plan);

/* Free what @plan holds and zero it. */
void plan_release(struct plan *plan);

/* Append why a slot waits, in one line: "0 of 5 nodes fit: 2 down, 3 short of memory", "no nodes",
 * "waits for app.db to be healthy". */
void unplaced_explain(const struct unplaced *unplaced, struct buf *out);

/* True when @node meets constraint @constraint. Pure. */
bool constraint_matches(const struct constraint *constraint, const struct node *node);

#endif
