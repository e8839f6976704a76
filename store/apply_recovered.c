/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that lost its quorum goes on from one member. */
#include "store/apply.h"

#include <inttypes.h>

/* What the others have in their logs may contradict this one's from here on. */
static void cut_off(struct apply *apply, struct node *node)
{
    node->cut_off = true;
    if (node->status != NODE_DOWN) {
        node->status = NODE_DOWN;
        node->status_ms = apply->now_ms;
    }
    apply_put(apply, TABLE_NODE, node);
    apply_event(apply, "node", node->name, "is cut off until it has a new log");
}

int apply_recovered(struct apply *apply, const struct change_recovered *change, struct err *err)
{
    struct cluster cluster;
    struct node survivor;
    struct node *nodes;
    size_t n;
    if (store_get(apply->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "there is no cluster yet");
    int rv = 0;
    if (change->epoch <= cluster.epoch)
        rv =
            err_set(err, ERR_EXISTS, "this cluster is in epoch %" PRId64 " already", cluster.epoch);
    else if (store_get(apply->store, TABLE_NODE, change->node_id, &survivor) < 0)
        rv = err_set(err, ERR_NOTFOUND, "member %" PRId64 " does not exist", change->node_id);
    if (rv < 0) {
        record_release(&cluster_type, &cluster);
        return rv;
    }
    cluster.epoch = change->epoch;
    apply_put(apply, TABLE_CLUSTER, &cluster);
    apply_event(apply, "cluster", cluster.uuid, "recovered on %s after its quorum was lost",
                survivor.name);
    store_list(apply->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        if (nodes[i].id != change->node_id)
            cut_off(apply, &nodes[i]);
    record_free_list(&node_type, nodes, n);
    record_release(&node_type, &survivor);
    record_release(&cluster_type, &cluster);
    return 0;
}
