/* SPDX-License-Identifier: Apache-2.0 */
/* What a healthy cluster comes to when it is left alone. */
#include "sim.h"

#include "node/leader.h"
#include "scheduler/scheduler.h"

#include <stdio.h>

enum {
    QUIET_MS = 60 * 1000, /* what the scheduler does later than that is not waited for */
};

/* Members are those that the table of nodes has, all up, all as far as the leader. */
static bool members_agree(struct sim *s, struct member *leader, char *why, size_t size)
{
    struct store *store = leader->d->store;
    for (int id = 1; id <= s->n; id++) {
        struct member *m = &s->members[id];
        struct node node;
        if (!m->known || m->gone)
            continue;
        if (store_get(store, TABLE_NODE, id, &node) < 0) {
            snprintf(why, size, "member %d does not know that it was removed", id);
            return false;
        }
        bool up = node.status == NODE_UP;
        record_release(&node_type, &node);
        if (!up || !m->running || store_index(m->d->store) != store_index(store)) {
            snprintf(why, size, "member %d is %s, at index %" PRId64 " and the leader at %" PRId64,
                     id,
                     !up          ? "down"
                     : m->running ? "up"
                                  : "stopped",
                     m->running ? store_index(m->d->store) : -1, store_index(store));
            return false;
        }
    }
    return true;
}

/* Raft's configuration has them all: the largest odd number of voters up to five, the rest
 * standbys. */
static bool roles_fit(const struct member *leader, char *why, size_t size)
{
    struct consensus_member members[IDS_MAX];
    size_t n = consensus_members(leader->d->consensus, members, IDS_MAX);
    size_t rows = (size_t)store_count(leader->d->store, TABLE_NODE);
    size_t voters = 0, standbys = 0, target = rows < 5 ? rows : 5;
    target -= target % 2 == 0;
    for (size_t i = 0; i < n; i++) {
        voters += members[i].role == ROLE_VOTER;
        standbys += members[i].role == ROLE_STANDBY;
    }
    snprintf(why, size, "%zu members have %zu voters and %zu standbys of %zu", rows, voters,
             standbys, n);
    return n == rows && voters == target && voters + standbys == rows;
}

static size_t count_running(const struct service *service, const struct task *tasks, size_t n)
{
    size_t running = 0;
    for (size_t i = 0; i < n; i++)
        running += tasks[i].service_id == service->id && tasks[i].desired == DESIRED_RUN &&
                   tasks[i].revision == service->revision && tasks[i].state == TASK_RUNNING;
    return running;
}

/* Every slot has its task, of the newest revision, and nothing else is there; rollouts are over. */
static bool tasks_run(struct store *store, char *why, size_t size)
{
    struct service *services;
    struct task *tasks;
    size_t n, tasks_n, wanted = 0;
    bool all = true;
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &tasks_n);
    for (size_t i = 0; i < n && all; i++) {
        const struct spec *spec = &services[i].spec;
        size_t want = spec->mode == MODE_GLOBAL ? (size_t)store_count(store, TABLE_NODE)
                                                : (size_t)spec->replicas;
        size_t run = count_running(&services[i], tasks, tasks_n);
        bool rolls =
            services[i].rollout == ROLLOUT_UPDATING || services[i].rollout == ROLLOUT_ROLLING_BACK;
        wanted += want;
        all = run == want && !rolls;
        snprintf(why, size, "%s.%s runs %zu of %zu", services[i].stack, services[i].name, run,
                 want);
    }
    if (all && tasks_n != wanted) {
        snprintf(why, size, "there are %zu tasks and %zu are wanted", tasks_n, wanted);
        all = false;
    }
    record_free_list(&service_type, services, n);
    record_free_list(&task_type, tasks, tasks_n);
    return all;
}

/* The scheduler wants nothing more, now and in a while. */
static bool nothing_is_planned(struct member *leader, char *why, size_t size)
{
    struct view view;
    struct plan plan = {0};
    view_read(leader->d->store, daemon_now_ms(leader->d) + QUIET_MS, &view);
    scheduler_plan(&view, &plan);
    size_t n = plan.steps_n;
    snprintf(why, size, "%zu steps are planned", n);
    plan_release(&plan);
    view_release(&view);
    return n == 0;
}

bool sim_has_converged(struct sim *s, char *why, size_t size)
{
    struct member *leader = sim_leader(s);
    snprintf(why, size, "there is no leader");
    if (!leader)
        return false;
    snprintf(why, size, "entries of the leader are not applied");
    if (raft_last_index(&leader->d->consensus->raft) != (raft_index)store_index(leader->d->store))
        return false;
    snprintf(why, size, "%zu requests wait", clients_waiting(s->clients));
    return clients_waiting(s->clients) == 0 && members_agree(s, leader, why, size) &&
           roles_fit(leader, why, size) && tasks_run(leader->d->store, why, size) &&
           nothing_is_planned(leader, why, size);
}
