/* SPDX-License-Identifier: Apache-2.0 */
#include "node/level.h"

#include "base/err.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "store/level.h"

#include <stdio.h>

int level_known(const struct daemon *d)
{
    return d->options.pretend_level ? d->options.pretend_level : LEVEL_KNOWN;
}

const char *level_version(const struct daemon *d)
{
    switch (d->options.pretend_level) {
    case LEVEL_FIRST:
        return "0.1.0";
    case LEVEL_FIRST + 1:
        return "0.2.0";
    case LEVEL_FIRST + 2:
        return "0.3.0";
    case LEVEL_FIRST + 3:
        return "0.4.0";
    case LEVEL_FIRST + 4:
        return "0.5.0";
    case LEVEL_FIRST + 5:
        return "0.6.0";
    default:
        return WHERRY_VERSION;
    }
}

/* A member that may be why @level is not in use yet, into @who: what members say in their
 * heartbeats only the leader's raising knows, their version all do. */
static void name_laggard(struct daemon *d, int level, char *who, size_t size)
{
    struct node *nodes;
    size_t n;
    bool found = false;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && !found; i++) {
        found = level_of(nodes[i].level) < level && !str_equal(nodes[i].version, level_version(d));
        if (found)
            snprintf(who, size, "%.63s has version %.40s", nodes[i].name,
                     str_or_empty(nodes[i].version));
    }
    record_free_list(&node_type, nodes, n);
}

int level_check(struct daemon *d, const struct change *change, struct err *err)
{
    int active = store_level(d->store);
    char who[128] = "the members are being asked";
    if (active >= LEVEL_KNOWN)
        return 0;
    int level = change_level(change);
    if (level > level_known(d))
        return change_unknown(change->kind, err);
    if (level <= active || change->kind == CHANGE_LEVEL_RAISE)
        return 0;
    name_laggard(d, level, who, sizeof(who));
    return err_set(err, ERR_UNAVAILABLE, "this waits until all members know it: %s", who);
}

void level_lower(struct daemon *d, struct node *node)
{
    record_lower(&node_type, node, store_level(d->store));
}
