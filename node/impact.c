/* SPDX-License-Identifier: Apache-2.0 */
#include "node/impact.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/leader.h"
#include "node/members.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* --- voters ------------------------------------------------------------------------------------
 */

void impact_of_loss(struct daemon *d, const struct node *node, struct buf *out)
{
    struct standings s;
    standings_read(d, &s);
    struct shape_strength now = shape_strength(s.all, s.n, d->id);
    struct shape_strength then = shape_without(s.all, s.n, d->id, node->id);
    standings_release(&s);
    bool was_lost = now.up < now.quorum;
    if (then.up < then.quorum && !was_lost)
        buf_printf(out,
                   "Without %s no more changes are possible: of the %zu voter%s that remain %zu "
                   "would be up, and %zu must be.\n",
                   node->name, then.voters, plural(then.voters), then.up, then.quorum);
    else if (then.losable == 0 && (now.losable > 0 || node->status == NODE_UP))
        buf_printf(out,
                   "Without %s the cluster has %zu voter%s, of which %zu must be up: when one more "
                   "is lost, no more changes are possible (now %zu more may be lost).\n",
                   node->name, then.voters, plural(then.voters), then.quorum, now.losable);
    struct volume *volumes;
    size_t n;
    store_list(d->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    for (size_t i = 0; i < n; i++)
        if (volumes[i].home_node_id == node->id)
            buf_printf(out,
                       "The content of volume %s is on %s: the cluster would begin with an "
                       "empty one.\n",
                       volumes[i].name, node->name);
    record_free_list(&volume_type, volumes, n);
}

void impact_of_shape(struct daemon *d, struct buf *out)
{
    struct standings s;
    size_t full = 0, voters_full = 0;
    standings_read(d, &s);
    struct shape_strength now = shape_strength(s.all, s.n, d->id);
    for (size_t i = 0; i < s.n; i++) {
        full += s.all[i].in_store && !s.all[i].witness;
        voters_full += s.all[i].in_raft && s.all[i].role == ROLE_VOTER && !s.all[i].witness;
    }
    if (now.up < now.quorum)
        buf_printf(out, "%zu of %zu voters are up, and %zu must be: no changes are possible.\n",
                   now.up, now.voters, now.quorum);
    else if (now.losable == 0 && full == 2 && voters_full == 1)
        buf_puts(out, "Of two members one votes, the other has a copy of the state: when the voter "
                      "is lost no changes are possible. A third member, or a witness ('wherry node "
                      "--witness'), lets the cluster survive the loss of any one.\n");
    else if (now.losable == 0 && now.voters > 1)
        buf_puts(out, "When one more voter is lost no changes are possible.\n");
    standings_release(&s);
}

/* --- tasks -------------------------------------------------------------------------------------
 */

static bool had_slot(const struct task *tasks, size_t n, const struct unplaced *u, int64_t node_id)
{
    for (size_t i = 0; i < n; i++)
        if (tasks[i].service_id == u->service_id && tasks[i].slot == u->slot &&
            tasks[i].node_id == node_id && tasks[i].desired == DESIRED_RUN &&
            !task_is_terminal(tasks[i].state))
            return true;
    return false;
}

static const struct service *service_of(const struct view *view, int64_t id)
{
    for (size_t i = 0; i < view->services_n; i++)
        if (view->services[i].id == id)
            return &view->services[i];
    return NULL;
}

static void explain(const struct view *view, const struct unplaced *u, struct buf *out)
{
    const struct service *s = service_of(view, u->service_id);
    if (!s)
        return;
    buf_printf(out, "%s.%s.%" PRId64 " would stop, with nowhere to go: ", s->stack, s->name,
               u->slot);
    unplaced_explain(u, out);
    buf_puts(out, ".\n");
}

void impact_of_drain(struct daemon *d, const struct node *node, struct buf *out)
{
    struct view view;
    struct plan plan = {0};
    if (node->availability == AVAILABLE_DRAIN)
        return;
    view_read(d->store, daemon_now_ms(d), &view);
    /* As it will be: the node takes nothing, and what it has is gone. */
    struct node *nodes = mem_alloc(view.nodes_n, sizeof(*nodes));
    struct task *tasks = mem_alloc(view.tasks_n, sizeof(*tasks));
    struct view then = view;
    memcpy(nodes, view.nodes, view.nodes_n * sizeof(*nodes));
    for (size_t i = 0; i < view.nodes_n; i++)
        if (nodes[i].id == node->id)
            nodes[i].availability = AVAILABLE_DRAIN;
    then.tasks_n = 0;
    for (size_t i = 0; i < view.tasks_n; i++)
        if (view.tasks[i].node_id != node->id || task_is_terminal(view.tasks[i].state))
            tasks[then.tasks_n++] = view.tasks[i];
    then.nodes = nodes;
    then.tasks = tasks;
    scheduler_plan(&then, &plan);
    for (size_t i = 0; i < plan.unplaced_n; i++)
        if (had_slot(view.tasks, view.tasks_n, &plan.unplaced[i], node->id))
            explain(&view, &plan.unplaced[i], out);
    plan_release(&plan);
    free(nodes);
    free(tasks);
    view_release(&view);
}
