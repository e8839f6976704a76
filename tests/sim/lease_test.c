/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single services under 10,000 random partitions: never two holders of a slot at once.
 *
 * Real are the scheduler with its gate (scheduler/single.h), the outages of the leader
 * (node/outages.h) and the arithmetic of leases. Raft is a model of what it promises and of how
 * badly it may behave within that: leaders that were replaced and do not know it yet, also after a
 * long sleep; answers that come late; daemons that sleep while their shims do not. Clocks run up to
 * 1 % fast or slow.
 *
 *     lease_test [--seed N]
 */
#include "../unit/scheduler/world.h"

#include "node/outages.h"
#include "scheduler/single.h"

enum {
    NODES = 5,
    MAJORITY = 3,
    STEP_MS = 50,
    PARTITIONS = 10000,
    PARTITIONS_A_RUN = 100,
    LEASE_MS = 6000,
    ELECTION_MS = 1000,
    DOWN_MS = 2500,
    ASK_MS = 1000,
    JUDGE_MS = 250,
    QUESTIONS_MAX = 8,
};

/* A node's question for a lease on its way. */
struct question {
    bool used, confirmed;
    int leader;        /* who was asked */
    int64_t asked_ms;  /* by the node's clock */
    int64_t served_at; /* real time at which the leader looks, */
    int64_t answer_at; /* … and its answer is there */
};

struct machine {
    double rate; /* of its clock */
    int64_t offset_ms;
    bool asleep; /* its daemon: no votes, no answers, no renewals; its shim lives */
    int64_t term;
    bool leads;
    int64_t heard_at;          /* real: from a leader */
    int64_t contact_at;        /* real: a leader's with a majority */
    int64_t patience_ms;       /* of this election */
    int64_t members_at[NODES]; /* a leader's: when it heard of each, by its clock */
    struct outages *outages;
    int64_t judged_at;
    int64_t lease_from_ms; /* by its clock; 0: none */
    int64_t next_ask_ms;
    struct question questions[QUESTIONS_MAX];
    int64_t runs;        /* the task whose container runs here, 0: none */
    int64_t deadline_ms; /* as its shim knows it */
};

struct sim {
    struct world *world; /* what is committed */
    struct machine machines[NODES];
    bool reach[NODES][NODES];
    int64_t now; /* real time */
    int64_t moves;
    bool hasty; /* the hazard: leases are not waited for */
    int broken; /* two ran at once */
};

static uint64_t random_state;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int below(int n)
{
    return (int)(draw() % (uint64_t)n);
}

static int64_t clock_of(const struct sim *s, const struct machine *m)
{
    return m->offset_ms + (int64_t)((double)s->now * m->rate);
}

/* --- raft, as far as it matters ----------------------------------------------------------------
 */

static bool hears(const struct sim *s, int a, int b)
{
    return s->reach[a][b] && !s->machines[a].asleep && !s->machines[b].asleep;
}

/* How many take @leader's term, itself included; they have heard of it then. False terms end it. */
static bool has_majority(struct sim *s, int leader)
{
    struct machine *l = &s->machines[leader];
    int n = 0;
    for (int i = 0; i < NODES; i++) {
        struct machine *m = &s->machines[i];
        if (i != leader && !hears(s, leader, i))
            continue;
        if (m->term > l->term) {
            l->leads = false; /* it learns of its successor */
            l->term = m->term;
            l->heard_at = s->now;
            return false;
        }
        if (i != leader)
            m->leads = false;
        m->term = l->term;
        m->heard_at = s->now;
        n++;
    }
    if (n >= MAJORITY)
        l->contact_at = s->now;
    return n >= MAJORITY;
}

static void elect(struct sim *s, int candidate)
{
    struct machine *c = &s->machines[candidate];
    int64_t term = c->term + 1;
    int votes = 1;
    for (int i = 0; i < NODES; i++)
        if (i != candidate && hears(s, candidate, i) && s->machines[i].term >= term)
            term = s->machines[i].term + 1;
    c->term = term;
    c->heard_at = s->now;
    c->patience_ms = ELECTION_MS + below(ELECTION_MS);
    for (int i = 0; i < NODES; i++)
        if (i != candidate && hears(s, candidate, i)) {
            s->machines[i].term = term;
            s->machines[i].leads = false;
            votes++;
        }
    if (votes < MAJORITY)
        return;
    c->leads = true;
    c->contact_at = s->now;
    outages_forget(c->outages);
    for (int i = 0; i < NODES; i++)
        c->members_at[i] = clock_of(s, c); /* everybody gets one time to live */
}

static void step_raft(struct sim *s, int i)
{
    struct machine *m = &s->machines[i];
    if (m->asleep)
        return;
    if (m->leads) {
        if (!has_majority(s, i) && m->leads && s->now - m->contact_at > ELECTION_MS)
            m->leads = false;
    } else if (s->now - m->heard_at > m->patience_ms) {
        elect(s, i);
    }
}

/* The leader that can commit, -1: none. */
static int real_leader(struct sim *s)
{
    for (int i = 0; i < NODES; i++)
        if (s->machines[i].leads && !s->machines[i].asleep && has_majority(s, i))
            return i;
    return -1;
}

/* --- the leader's loop --------------------------------------------------------------------------
 */

static void judge(struct sim *s, int leader)
{
    struct machine *l = &s->machines[leader];
    struct world *w = s->world;
    int64_t now = clock_of(s, l);
    for (int i = 0; i < NODES; i++) {
        struct node *node = &w->nodes[i];
        if (i == leader || hears(s, leader, i))
            l->members_at[i] = now;
        enum node_status status = now - l->members_at[i] < DOWN_MS ? NODE_UP : NODE_DOWN;
        if (status != node->status)
            node->status_ms = ++w->index;
        node->status = status;
    }
}

static void lead(struct sim *s)
{
    int leader = real_leader(s);
    struct world *w = s->world;
    if (leader < 0 || s->now - s->machines[leader].judged_at < JUDGE_MS)
        return;
    struct machine *l = &s->machines[leader];
    struct plan plan = {0};
    l->judged_at = s->now;
    judge(s, leader);
    w->now_ms = 1000000 + clock_of(s, l); /* its clock is the state's */
    struct view view = {.now_ms = w->now_ms,
                        .level = 4,
                        .no_rebalance = true,
                        .overlap = true,
                        .nodes = w->nodes,
                        .nodes_n = w->nodes_n,
                        .services = w->services,
                        .services_n = w->services_n,
                        .tasks = w->tasks,
                        .tasks_n = w->tasks_n};
    outages_read(l->outages, &view, clock_of(s, l));
    if (s->hasty)
        for (size_t i = 0; i < view.outages_n; i++)
            ((struct outage *)(uintptr_t)view.outages)[i].since_ms -= 1000000;
    scheduler_plan(&view, &plan);
    for (size_t i = 0; i < plan.steps_n; i++)
        s->moves += plan.steps[i].kind == STEP_CREATE;
    world_apply(w, &plan);
    plan_release(&plan);
}

/* --- leases, agents, shims -----------------------------------------------------------------------
 */

static void ask(struct sim *s, struct machine *m)
{
    if (clock_of(s, m) < m->next_ask_ms)
        return;
    m->next_ask_ms = clock_of(s, m) + ASK_MS;
    for (int leader = 0; leader < NODES; leader++) /* whoever it believes: any that says it leads */
        if (s->machines[leader].leads && s->reach[m - s->machines][leader])
            for (int q = 0; q < QUESTIONS_MAX; q++) {
                if (m->questions[q].used)
                    continue;
                int64_t served = s->now + below(500);
                m->questions[q] = (struct question){.used = true,
                                                    .leader = leader,
                                                    .asked_ms = clock_of(s, m),
                                                    .served_at = served,
                                                    .answer_at = served + below(3000)};
                break;
            }
}

/* A leader looks at a question: a majority must confirm it, and the node must not be down. */
static void serve(struct sim *s, int i, struct question *q)
{
    struct machine *l = &s->machines[q->leader];
    if (l->asleep) { /* it is read when the daemon goes on */
        q->served_at = s->now + STEP_MS;
        q->answer_at = q->served_at + below(3000);
        return;
    }
    bool counts = s->world->nodes[i].status == NODE_UP;
    q->confirmed = l->leads && counts && has_majority(s, q->leader);
    q->used = q->confirmed;
}

static void step_questions(struct sim *s, int i)
{
    struct machine *m = &s->machines[i];
    for (int k = 0; k < QUESTIONS_MAX; k++) {
        struct question *q = &m->questions[k];
        if (q->used && !q->confirmed && s->now >= q->served_at)
            serve(s, i, q);
        if (q->used && q->confirmed && s->now >= q->answer_at && !m->asleep) {
            m->lease_from_ms = q->asked_ms > m->lease_from_ms ? q->asked_ms : m->lease_from_ms;
            q->used = false;
        }
    }
}

/* A word of node @i about its task, committed if a leader can. */
static void report(struct sim *s, int i, struct task *task, enum task_state state)
{
    int leader = real_leader(s);
    if (leader < 0 || (leader != i && !hears(s, leader, i)))
        return;
    task->state = state;
    task->run = task->run > 0 ? task->run : 1;
    task->ready |= task->desired == DESIRED_READY;
}

/* The node's loop: it sees the state while it hears of a leader. */
static void step_agent(struct sim *s, int i)
{
    struct machine *m = &s->machines[i];
    int leader = real_leader(s);
    int64_t now = clock_of(s, m), until = m->lease_from_ms + LEASE_MS;
    if (m->asleep)
        return;
    if (m->runs && m->lease_from_ms && until > m->deadline_ms)
        m->deadline_ms = until;
    if (leader < 0 || (leader != i && !hears(s, leader, i)))
        return;
    struct task *running = m->runs ? find_task(s->world, m->runs) : NULL;
    if (m->runs && (!running || running->desired == DESIRED_END)) {
        m->runs = 0;
        if (running)
            report(s, i, running, TASK_ENDED);
    }
    for (size_t k = 0; k < s->world->tasks_n; k++) {
        struct task *task = &s->world->tasks[k];
        if (task->node_id != i + 1 || task_is_terminal(task->state))
            continue;
        if (task->desired == DESIRED_END && m->runs != task->id)
            report(s, i, task, TASK_ENDED);
        else if (task->desired == DESIRED_READY)
            report(s, i, task, TASK_WAITING);
        else if (task->desired == DESIRED_RUN && m->runs == 0 && m->lease_from_ms &&
                 until - now > LEASE_MS / 2) {
            m->runs = task->id;
            m->deadline_ms = until;
            report(s, i, task, TASK_RUNNING);
        }
    }
}

static void step_shim(struct sim *s, struct machine *m)
{
    if (m->runs && clock_of(s, m) >= m->deadline_ms)
        m->runs = 0;
}

static void check_holders(struct sim *s)
{
    int holders = 0;
    for (int i = 0; i < NODES; i++)
        holders += s->machines[i].runs != 0;
    s->broken += holders > 1;
}

/* --- partitions ----------------------------------------------------------------------------------
 */

static void partition(struct sim *s)
{
    int groups[NODES];
    bool whole = below(3) == 0;
    for (int i = 0; i < NODES; i++)
        groups[i] = whole ? 0 : below(3);
    for (int a = 0; a < NODES; a++)
        for (int b = 0; b <= a; b++)
            s->reach[a][b] = s->reach[b][a] = a == b || (groups[a] == groups[b] && below(8) > 0);
    for (int i = 0; i < NODES; i++)
        s->machines[i].asleep = below(6) == 0;
}

static void one_run(struct sim *s, uint64_t seed, bool hasty)
{
    random_state = seed * 0x9e3779b97f4a7c15U + 1;
    *s = (struct sim){.world = world_new(), .hasty = hasty, .now = 100000};
    s->world->level = 4;
    for (int i = 0; i < NODES; i++) {
        world_node(s->world, 4000, 1000);
        s->machines[i] = (struct machine){.rate = 0.99 + below(2001) / 100000.0,
                                          .offset_ms = below(1000000),
                                          .patience_ms = ELECTION_MS + below(ELECTION_MS),
                                          .outages = outages_new()};
    }
    struct service *service = world_service(s->world, "db", MODE_REPLICATED, 1);
    service->spec.single = true;
    service->spec.lease_ms = LEASE_MS;
    for (int p = 0; p < PARTITIONS_A_RUN; p++) {
        int64_t until = s->now + 1000 + below(20000);
        partition(s);
        for (; s->now < until; s->now += STEP_MS) {
            for (int i = 0; i < NODES; i++)
                step_raft(s, i);
            for (int i = 0; i < NODES; i++) {
                if (!s->machines[i].asleep)
                    ask(s, &s->machines[i]);
                step_questions(s, i);
                step_agent(s, i);
                step_shim(s, &s->machines[i]);
            }
            check_holders(s);
            lead(s);
        }
    }
    for (int i = 0; i < NODES; i++)
        outages_free(s->machines[i].outages);
    world_free(s->world);
}

static uint64_t first_seed = 1;

static void never_two_holders(void **state)
{
    (void)state;
    int64_t moves = 0;
    for (uint64_t run = 0; run < PARTITIONS / PARTITIONS_A_RUN; run++) {
        struct sim s;
        one_run(&s, first_seed + run, false);
        moves += s.moves;
        if (s.broken)
            fail_msg("two holders at once; again: lease_test --seed %llu",
                     (unsigned long long)(first_seed + run));
    }
    print_message("%d partitions, %lld placements\n", PARTITIONS, (long long)moves);
    assert_true(moves > 500); /* it does move */
}

static void without_the_wait_there_would_be(void **state)
{
    (void)state;
    int broken = 0;
    for (uint64_t run = 0; run < 20; run++) {
        struct sim s;
        one_run(&s, first_seed + run, true);
        broken += s.broken > 0;
    }
    assert_true(broken > 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_two_holders),
        cmocka_unit_test(without_the_wait_there_would_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
