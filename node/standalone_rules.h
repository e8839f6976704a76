/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standalone_rules - what becomes of a container of its own: a pure state machine.
 *
 *     IDLE ──by hand, or adopted──► START ──started──► RUN ──ended──► DELAY ──due──► START
 *       ▲                             │                 │ │
 *       │◄──not started, by hand──────┘                 │ └─policy says no──► IDLE
 *       │                                               ▼ stop
 *       └────────────────────────────────ended──────── STOP (signal, grace, kill)
 *     from anywhere: ──remove──► REMOVE ──removed──► GONE
 *
 * The caller asks standalone_next() what to do, does it as a job, and says what came of it with
 * standalone_started(), _looked(), _signalled(), _killed(), _removed() or _saved(); one job at a
 * time. `wanted` is what survives this process: a container that was started and not stopped, by
 * hand or because its policy was done with it. It is saved before the container is started or
 * signalled, so that a crash in between does what was asked last. Times are milliseconds since
 * boot.
 */
#ifndef WHERRY_NODE_STANDALONE_RULES_H
#define WHERRY_NODE_STANDALONE_RULES_H

#include "runtime/container.h"

#include <stdbool.h>
#include <stdint.h>

/* When a container is started again that ended by itself. */
enum standalone_policy {
    STANDALONE_NO,
    STANDALONE_ON_FAILURE, /* its exit code is not 0, or not known */
    STANDALONE_ALWAYS,
    STANDALONE_UNLESS_STOPPED, /* the same: one that was stopped by hand stays so in both */
};
extern const char *const standalone_policy_names[];

enum standalone_phase {
    STANDALONE_IDLE,
    STANDALONE_START,
    STANDALONE_RUN,
    STANDALONE_DELAY, /* until due_ms, then START */
    STANDALONE_STOP,  /* signalled; killed at due_ms */
    STANDALONE_REMOVE,
    STANDALONE_GONE,
};

/* The next job. */
enum standalone_work {
    STANDALONE_WORK_NONE,
    STANDALONE_WORK_SAVE,
    STANDALONE_WORK_START,
    STANDALONE_WORK_LOOK,
    STANDALONE_WORK_SIGNAL,
    STANDALONE_WORK_KILL,
    STANDALONE_WORK_REMOVE,
};

struct standalone_machine {
    enum standalone_policy policy;
    int64_t retries_max;   /* of ON_FAILURE; 0: no limit */
    bool auto_remove;      /* once it ended */
    bool held;             /* … by who waits for its end; a minute later nobody does */
    int64_t stop_grace_ms; /* where a stop says nothing else */

    enum standalone_phase phase;
    bool wanted;
    bool unsaved;       /* wanted is another than what was saved */
    int64_t save_ms;    /* … when that is tried again */
    bool by_hand;       /* START: somebody waits; its failure is theirs */
    bool start_again;   /* STOP: of a restart */
    bool remove_next;   /* START: as soon as that is over */
    bool signalled;     /* STOP */
    bool killed;        /* STOP: the grace is over */
    int64_t attempts;   /* restarts since it last ran long enough */
    int64_t started_ms; /* RUN */
    int64_t due_ms;     /* 0: nothing */
    int64_t poll_ms;    /* of the next look */
};

/* Begin with a container that is here: as the runtime says, and with `wanted` as it was saved. */
void standalone_adopt(struct standalone_machine *m, const struct container_state *state,
                      int64_t now);

/* What to do now; with NONE, m->due_ms and m->poll_ms say when to ask again. */
enum standalone_work standalone_next(struct standalone_machine *m, int64_t now);

/* When to ask again at the latest, 0: not by the clock. */
int64_t standalone_due_ms(const struct standalone_machine *m);

/* What came of it. A failed save is tried again; a start by hand is given up then, and a stop goes
 * on. */
void standalone_saved(struct standalone_machine *m, bool ok, int64_t now);
void standalone_started(struct standalone_machine *m, bool ok, int64_t now);
void standalone_looked(struct standalone_machine *m, const struct container_state *state,
                       int64_t now);
void standalone_signalled(struct standalone_machine *m, int64_t now);
void standalone_killed(struct standalone_machine *m, bool ok, int64_t now);
void standalone_removed(struct standalone_machine *m, bool ok, int64_t now);

/* By hand. Starting one that runs, and stopping one that does not, is fine. @grace_ms < 0: the
 * container's own. False: it is being removed, or (start) stopped. */
bool standalone_start_it(struct standalone_machine *m);
bool standalone_stop_it(struct standalone_machine *m, int64_t grace_ms, bool start_again,
                        int64_t now);

/* False: it is not idle, and @force was not given. */
bool standalone_remove_it(struct standalone_machine *m, bool force);

#endif
