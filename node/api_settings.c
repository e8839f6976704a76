/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about what holds for the cluster as a whole, and that this machine leaves it. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/impact.h"
#include "node/leave.h"

void api_cluster_inspect(struct api_call *c, const void *request)
{
    struct cluster cluster;
    (void)request;
    if (store_get(c->daemon->store, TABLE_CLUSTER, 1, &cluster) < 0) {
        api_fail_with(c, ERR_UNAVAILABLE, "this member has no state yet: try again");
        return;
    }
    struct cluster_info info = {.cluster = cluster.uuid,
                                .pool = cluster.pool,
                                .spread = cluster.spread,
                                .rebalance = !cluster.no_rebalance,
                                .vxlan_id = cluster.vxlan_id,
                                .created_ms = cluster.created_ms};
    api_reply(c, &info);
    record_release(&cluster_type, &cluster);
}

void api_cluster_set(struct api_call *c, const void *request)
{
    const struct cluster_set_request *r = request;
    struct change_cluster_set change = {.set_spread = r->set_spread,
                                        .spread = r->spread,
                                        .set_rebalance = r->set_rebalance,
                                        .no_rebalance = r->set_rebalance && !r->rebalance};
    api_propose(c, CHANGE_CLUSTER_SET, &change);
}

/* --- leave -------------------------------------------------------------------------------------
 */

static void on_left(void *arg, const struct err *err)
{
    struct node_change_reply reply = {.done = true};
    if (err->code != 0)
        api_fail(arg, err);
    else
        api_reply(arg, &reply);
}

void api_leave(struct api_call *c, const void *request)
{
    const struct leave_request *r = request;
    struct daemon *d = c->daemon;
    struct node node;
    struct err err;
    cleanup_buf struct buf warning = BUF_INIT;
    if (r->yes) {
        leave_begin(d, on_left, c);
        return;
    }
    /* Before its tasks are moved for nothing. */
    if (leave_check(d, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    if (store_get(d->store, TABLE_NODE, d->id, &node) == 0) {
        impact_of_loss(d, &node, &warning);
        record_release(&node_type, &node);
    }
    api_reply(c, &(struct node_change_reply){.warning = warning.data});
}
