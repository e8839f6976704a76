/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about what holds for the cluster as a whole. */
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"

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
                                .vxlan_id = cluster.vxlan_id,
                                .created_ms = cluster.created_ms};
    api_reply(c, &info);
    record_release(&cluster_type, &cluster);
}

void api_cluster_set(struct api_call *c, const void *request)
{
    const struct cluster_set_request *r = request;
    struct change_cluster_set change = {.set_spread = r->set_spread, .spread = r->spread};
    api_propose(c, CHANGE_CLUSTER_SET, &change);
}
