/* SPDX-License-Identifier: Apache-2.0 */
/* The level of changes that all members know. */
#include "store/apply.h"
#include "store/level.h"

#include <inttypes.h>

int apply_level_raise(struct apply *apply, const struct change_level_raise *change, struct err *err)
{
    int active = store_level(apply->store);
    if (change->level <= active)
        return err_set(err, ERR_EXISTS, "the cluster is at level %d already", active);
    struct cluster cluster;
    if (store_get(apply->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return err_set(err, ERR_UNAVAILABLE, "there is no cluster yet");
    cluster.level = change->level;
    apply_put(apply, TABLE_CLUSTER, &cluster);
    apply_event(apply, "cluster", cluster.uuid, "all members know level %" PRId64 ": it is in use",
                cluster.level);
    record_release(&cluster_type, &cluster);
    return 0;
}
