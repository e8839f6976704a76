/* SPDX-License-Identifier: Apache-2.0 */
/* The leader raises the cluster's level. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/level.h"
#include "node/propose.h"
#include "store/level.h"

enum {
    MEMBERS_MAX = 256,
};

static bool is_voter(struct daemon *d, int64_t id)
{
    struct consensus_member members[MEMBERS_MAX];
    size_t n = consensus_members(d->consensus, members, MEMBERS_MAX);
    for (size_t i = 0; i < n && i < MEMBERS_MAX; i++)
        if (members[i].id == id)
            return members[i].role == ROLE_VOTER;
    return false;
}

/* What it said last; what its row says when it is down. */
static int level_of_node(struct daemon *d, const struct node *node)
{
    if (node->id == d->id)
        return level_known(d);
    int said = heartbeat_level(d->heartbeat, node->id);
    return said != 0 ? said : level_of(node->level);
}

/* True when all members know @level. One that is down and has no vote is not waited for: it stops
 * when it comes back and is still too old. */
static bool all_know(struct daemon *d, int level)
{
    struct node *nodes;
    size_t n;
    bool found = false;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && !found; i++) {
        if (level_of_node(d, &nodes[i]) >= level)
            continue;
        if (nodes[i].status != NODE_UP && !is_voter(d, nodes[i].id))
            continue;
        found = true;
    }
    record_free_list(&node_type, nodes, n);
    return !found;
}

static void on_raised(void *arg, const struct change_result *result)
{
    struct daemon *d = arg;
    d->raising_level = false;
    if (result->err.code == 0)
        log_info("members", "all members know level %d: it is in use", store_level(d->store));
    else if (result->err.code != ERR_CANCELED && result->err.code != ERR_NOTLEADER)
        log_warn("members", "the level was not raised: %s", result->err.msg);
}

void level_step(struct daemon *d)
{
    int known = level_known(d);
    if (d->raising_level || d->stopping || store_count(d->store, TABLE_CLUSTER) == 0 ||
        store_level(d->store) >= known || !all_know(d, known))
        return;
    d->raising_level = true;
    struct change_level_raise change = {.level = known};
    propose_change(d->propose, CHANGE_LEVEL_RAISE, &change, NULL, PROPOSE_TIMEOUT_MS, on_raised, d);
}
