/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where node ids and raft ids meet.
 *
 * A node that lost its log goes on under its node id but is a new member to raft: the old one had
 * promised what the new one does not know. Everybody else speaks of nodes; inside consensus all is
 * in raft ids. Only nodes whose raft id is another than their own are in the table; both are given
 * out from one counter, so that a raft id that is in no row is its node's own, or that of a log
 * that is no more. The latter is spoken of as the negative of it.
 *
 * That a member has not yet heard of a renewal does no harm: the change was committed by a majority
 * without the lost log, so nobody who lacks it can have a majority with it, and the new log
 * acknowledges only what it holds.
 */
#include "cluster/consensus_internal.h"

#include "base/mem.h"

#include <stdlib.h>

static void add(struct consensus *c, int64_t node_id, int64_t raft_id)
{
    for (size_t i = 0; i < c->ids_n; i++)
        if (c->ids[i].node_id == node_id)
            return;
    c->ids = mem_resize(c->ids, c->ids_n + 1, sizeof(*c->ids));
    c->ids[c->ids_n++] = (struct consensus_ids){.node_id = node_id, .raft_id = raft_id};
}

void consensus_set_ids(struct consensus *c, const struct consensus_ids *ids, size_t n)
{
    c->ids_n = 0;
    /* Of ourselves we know best: the table may be behind. */
    if (c->node_id != c->config.id)
        add(c, c->node_id, c->config.id);
    for (size_t i = 0; i < n; i++)
        if (ids[i].node_id != c->node_id && ids[i].raft_id != 0 && ids[i].raft_id != ids[i].node_id)
            add(c, ids[i].node_id, ids[i].raft_id);
}

int64_t ids_raft(const struct consensus *c, int64_t node_id)
{
    if (node_id < 0)
        return -node_id;
    for (size_t i = 0; i < c->ids_n; i++)
        if (c->ids[i].node_id == node_id)
            return c->ids[i].raft_id;
    return node_id;
}

int64_t ids_node(const struct consensus *c, int64_t raft_id)
{
    for (size_t i = 0; i < c->ids_n; i++)
        if (c->ids[i].raft_id == raft_id)
            return c->ids[i].node_id;
    for (size_t i = 0; i < c->ids_n; i++)
        if (c->ids[i].node_id == raft_id)
            return -raft_id;
    return raft_id;
}

int ids_send(struct consensus *c, int64_t raft_id, bool bulk, const void *data, size_t len)
{
    int64_t node_id = ids_node(c, raft_id);
    if (node_id <= 0 || node_id == c->node_id)
        return ERR_UNAVAILABLE;
    return c->config.send(c->config.arg, node_id, bulk, data, len);
}
