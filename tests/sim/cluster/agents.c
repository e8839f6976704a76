/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of node/reconcile: a machine and what runs on it. A task that is to run starts after a
 * while, sometimes ends and is started again, sometimes fails for good; one that is to end ends
 * after a while. What runs outlives the daemon, not a loss of power. Each thing that happens is
 * reported by node/report.c as agents do: in order by (run, sequence), and again while the state
 * does not show it.
 */
#include "sim.h"

#include "base/clock.h"
#include "node/reconcile.h"
#include "node/report.h"

enum {
    LOOK_MS = 100, /* between two looks at the state when nothing woke us */
};

struct container {
    struct container *next;
    int64_t task_id;
    int64_t run, sequence;
    enum task_state state;
    bool job;
    bool ending;
    bool held; /* it is not to start before it is released */
    bool ready;
    int64_t exit_code;
    raft_time due; /* of what happens next to it, 0: nothing by itself */
};

struct agents {
    struct member *member;
    struct container *containers;
    raft_time look_at;
};

struct reconcile {
    struct agents *agents;
};

struct agents *agents_new(struct member *m)
{
    struct agents *a = mem_alloc(1, sizeof(*a));
    a->member = m;
    return a;
}

void agents_free(struct agents *a)
{
    while (a && a->containers) {
        struct container *c = a->containers;
        a->containers = c->next;
        free(c);
    }
    free(a);
}

struct reconcile *reconcile_new(struct daemon *d)
{
    struct reconcile *r = mem_alloc(1, sizeof(*r));
    r->agents = ((struct member *)d->loop.data)->agents;
    return r;
}

void reconcile_on_change(struct reconcile *r, unsigned tables)
{
    struct member *m = r->agents->member;
    if (!(tables & 1U << TABLE_TASK))
        return;
    r->agents->look_at = m->sim->now;
    member_wake(m);
}

static raft_time later(struct agents *a, unsigned least, unsigned most)
{
    return a->member->sim->now + least + sim_below(a->member->sim, most - least + 1);
}

static void tell(struct agents *a, struct container *c)
{
    report_task(a->member->d->report, &(struct task_observation){.task_id = c->task_id,
                                                                 .state = c->state,
                                                                 .run = c->run,
                                                                 .sequence = c->sequence,
                                                                 .exit_code = c->exit_code,
                                                                 .ready = c->ready,
                                                                 .message = (char[]){""},
                                                                 .state_ms = clock_wall_ms()});
}

static void become(struct agents *a, struct container *c, enum task_state state)
{
    int64_t now = clock_wall_ms();
    c->state = state;
    c->sequence = c->sequence < now ? now : c->sequence + 1;
    tell(a, c);
}

static struct container *find(struct agents *a, int64_t task_id)
{
    for (struct container *c = a->containers; c; c = c->next)
        if (c->task_id == task_id)
            return c;
    return NULL;
}

static struct container *add(struct agents *a, const struct task *task)
{
    struct container *c = mem_alloc(1, sizeof(*c));
    struct spec spec;
    *c = (struct container){.next = a->containers,
                            .task_id = task->id,
                            .run = task->run,
                            .sequence = task->sequence,
                            .state = task->state};
    if (store_task_spec(a->member->d->store, task, &spec) == 0) {
        c->job = spec.mode == MODE_REPLICATED_JOB;
        record_release(&spec_type, &spec);
    }
    c->due = later(a, 5, 200);
    a->containers = c;
    return c;
}

/* What the state says of a task against what is here. */
static void look(struct agents *a, const struct task *task)
{
    struct container *c = find(a, task->id);
    if (task_is_terminal(task->state))
        return;
    if (!c)
        c = add(a, task);
    if (task->sequence > c->sequence) {
        /* What an earlier process said arrived late: ours is the newer word. */
        c->sequence = task->sequence;
        become(a, c, c->state);
    } else if (task->sequence < c->sequence) {
        tell(a, c);
    }
    bool held = task->desired == DESIRED_READY;
    if (c->held && !held) {
        c->ready = false;
        c->due = later(a, 5, 50);
    }
    c->held = held;
    if (task->desired == DESIRED_END && !c->ending && !task_is_terminal(c->state)) {
        c->ending = true;
        c->due = later(a, 5, 400);
    }
}

static bool has_task(const struct task *tasks, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (tasks[i].id == id)
            return true;
    return false;
}

static void look_at_all(struct agents *a)
{
    struct daemon *d = a->member->d;
    struct task *tasks;
    size_t n;
    store_list(d->store, TABLE_TASK, BY_NODE_ID, d->id, &tasks, &n);
    for (size_t i = 0; i < n && !d->removed; i++)
        look(a, &tasks[i]);
    bool sure = daemon_is_synced(d) || d->removed;
    for (struct container **at = &a->containers; *at;) {
        struct container *c = *at;
        if (!sure || has_task(tasks, n, c->task_id)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
    record_free_list(&task_type, tasks, n);
}

static void run_container(struct agents *a, struct container *c)
{
    struct sim *s = a->member->sim;
    c->due = 0;
    if (c->ending) {
        become(a, c, TASK_ENDED);
    } else if (c->held) {
        c->ready = true;
        become(a, c, TASK_WAITING);
    } else if (c->state != TASK_RUNNING) {
        c->run++;
        become(a, c, TASK_RUNNING);
        if (c->job || (!s->calm && sim_chance(s, 20)))
            c->due = later(a, 50, 3000);
    } else if (c->job) {
        become(a, c, TASK_COMPLETE);
    } else if (!s->calm && sim_chance(s, 15)) {
        c->exit_code = 1;
        become(a, c, TASK_FAILED);
    } else {
        become(a, c, TASK_WAITING);
        c->due = later(a, 20, 1000);
    }
}

void agents_step(struct agents *a)
{
    struct sim *s = a->member->sim;
    for (struct container *c = a->containers; c; c = c->next)
        if (c->due && c->due <= s->now)
            run_container(a, c);
    if (s->now < a->look_at)
        return;
    a->look_at = s->now + LOOK_MS;
    look_at_all(a);
}

void agents_on_start(struct agents *a)
{
    a->look_at = a->member->sim->now;
}

void agents_on_crash(struct agents *a, bool power)
{
    for (struct container *c = a->containers; c; c = c->next)
        if (power && !task_is_terminal(c->state)) {
            c->state = TASK_WAITING;
            c->due = later(a, 20, 1000);
        }
}
