/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what a plan says of a deploy (node/foresee.h) is what the cluster then does. */
#include "sim.h"

#include "node/foresee.h"

#include <stdlib.h>

/* What a slot is like: its task, and whether that is one of before. */
struct slot {
    int64_t service_id, slot, node_id;
    int64_t stays; /* the task's id when it was there before, else 0 */
};

struct slots {
    struct slot *list;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    if (x->service_id != y->service_id)
        return x->service_id < y->service_id ? -1 : 1;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->node_id < y->node_id ? -1 : x->node_id > y->node_id;
}

static struct slots slots_of(struct store *store, struct store *before)
{
    struct slots slots = {0};
    struct task *tasks;
    size_t n;
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    slots.list = mem_alloc(n, sizeof(*slots.list));
    for (size_t i = 0; i < n; i++) {
        struct task old;
        if (tasks[i].desired != DESIRED_RUN)
            continue;
        bool stays = store_get(before, TABLE_TASK, tasks[i].id, &old) == 0;
        if (stays)
            record_release(&task_type, &old);
        slots.list[slots.n++] = (struct slot){.service_id = tasks[i].service_id,
                                              .slot = tasks[i].slot,
                                              .node_id = tasks[i].node_id,
                                              .stays = stays ? tasks[i].id : 0};
    }
    record_free_list(&task_type, tasks, n);
    qsort(slots.list, slots.n, sizeof(*slots.list), compare);
    return slots;
}

static void match(struct sim *s, const struct slots *foreseen, const struct slots *came)
{
    SIM_CHECK(s, foreseen->n == came->n, "%zu tasks were foreseen and %zu came", foreseen->n,
              came->n);
    for (size_t i = 0; i < came->n; i++) {
        const struct slot *f = &foreseen->list[i], *c = &came->list[i];
        SIM_CHECK(s, memcmp(f, c, sizeof(*f)) == 0,
                  "foreseen: service %" PRId64 " slot %" PRId64 " on n%" PRId64 ", task %" PRId64
                  "; came: service %" PRId64 " slot %" PRId64 " on n%" PRId64 ", task %" PRId64,
                  f->service_id, f->slot, f->node_id, f->stays, c->service_id, c->slot, c->node_id,
                  c->stays);
    }
}

size_t sim_deploy_as_foretold(struct sim *s)
{
    struct member *leader = sim_leader(s);
    struct store *before, *copy;
    struct plan_reply reply = {0};
    struct err err = {0};
    SIM_CHECK(s, leader, "nobody leads");
    const struct change_stack_deploy *deploy = clients_prepare(s->clients, leader);
    checks_look_away(s->checks, true);
    check(foresee_copy(leader->d->store, &before, &err) == 0);
    check(foresee_copy(leader->d->store, &copy, &err) == 0);
    SIM_CHECK(s, foresee_apply(copy, store_time_ms(before), CHANGE_STACK_DEPLOY, deploy, &err) == 0,
              "the plan was refused: %s", err.msg);
    SIM_CHECK(s, foresee_tasks(before, copy, NULL, &reply), "no end was foreseen");
    record_release(&plan_reply_type, &reply);
    checks_look_away(s->checks, false);
    clients_deploy(s->clients);
    sim_converge(s);
    struct slots foreseen = slots_of(copy, before);
    struct slots came = slots_of(sim_leader(s)->d->store, before);
    match(s, &foreseen, &came);
    size_t n = came.n;
    free(foreseen.list);
    free(came.list);
    store_free(before);
    store_free(copy);
    return n;
}
