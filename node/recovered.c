/* SPDX-License-Identifier: Apache-2.0 */
#include "node/recovered.h"

#include "base/err.h"
#include "base/log.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/propose.h"

static void on_noted(void *arg, const struct change_result *result)
{
    struct daemon *d = arg;
    d->noting_recovery = false;
    if (result->err.code == 0)
        log_info("members", "this cluster goes on from this member; the others are cut off");
    else if (result->err.code != ERR_CANCELED && result->err.code != ERR_NOTLEADER &&
             result->err.code != ERR_UNAVAILABLE)
        log_warn("members", "the recovery was not noted: %s", result->err.msg);
}

bool recovered_step(struct daemon *d)
{
    struct cluster cluster;
    int64_t ours = consensus_epoch(d->consensus);
    if (ours == 0 || store_get(d->store, TABLE_CLUSTER, 1, &cluster) < 0)
        return true;
    bool known = cluster.epoch >= ours;
    record_release(&cluster_type, &cluster);
    if (known || d->noting_recovery || d->stopping)
        return known;
    d->noting_recovery = true;
    struct change_recovered change = {.epoch = ours, .node_id = d->id};
    propose_change(d->propose, CHANGE_RECOVERED, &change, NULL, PROPOSE_TIMEOUT_MS, on_noted, d);
    return false;
}
