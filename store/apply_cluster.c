/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator sets for the cluster as a whole. */
#include "store/apply.h"

#include "base/mem.h"

#include <stdlib.h>

int apply_cluster_set(struct apply *apply, const struct change_cluster_set *change, struct err *err)
{
    struct cluster cluster;
    const char *spread = str_or_empty(change->spread);
    if (change->set_spread && *spread && !label_key_is_valid(spread))
        return err_set(err, ERR_INVALID,
                       "'%.80s' is no key of a label: 1 to 63 printable characters without '='",
                       spread);
    if (store_get(apply->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no cluster");
    if (change->set_spread && !str_equal(str_or_empty(cluster.spread), spread)) {
        free(cluster.spread);
        cluster.spread = str_copy(spread);
        apply_put(apply, TABLE_CLUSTER, &cluster);
        if (*spread)
            apply_event(apply, "cluster", cluster.uuid, "voters are spread over label %s", spread);
        else
            apply_event(apply, "cluster", cluster.uuid, "voters are not spread any more");
    }
    if (change->set_rebalance && cluster.no_rebalance != change->no_rebalance) {
        cluster.no_rebalance = change->no_rebalance;
        apply_put(apply, TABLE_CLUSTER, &cluster);
        apply_event(apply, "cluster", cluster.uuid, "rebalancing is %s",
                    change->no_rebalance ? "off" : "on");
    }
    record_release(&cluster_type, &cluster);
    return 0;
}
