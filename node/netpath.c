/* SPDX-License-Identifier: Apache-2.0 */
#include "node/netpath.h"

#include "base/cleanup.h"

/* What packets may have on usual ways, less the 50 bytes of the tunnel: jumbo frames, Ethernet,
 * PPPoE, VPNs, the least of IPv6, the least of IPv4. */
static const uint16_t sizes[] = {8950, 4000, 1450, 1442, 1400, 1370, 1330, 1280, 1230, 1000, 576};

void netpath_init(struct netpath *path, uint32_t peer)
{
    *path = (struct netpath){.peer = peer};
}

void netpath_set_full(struct netpath *path, uint16_t mtu)
{
    if (path->full == mtu)
        return;
    path->full = mtu;
    path->mtu = path->trying = 0;
    path->size_in = 0;
    path->ways[NETPROBE_SIZE] = (struct netpath_way){0};
}

static void note(struct netpath_way *way, bool lost)
{
    way->waiting = false;
    way->answered = lost ? 0 : way->answered + 1;
    way->lost = lost ? way->lost + 1 : 0;
    way->history = way->history << 1 | lost;
    if (way->rounds < NETPATH_HISTORY)
        way->rounds++;
}

unsigned netpath_loss(const struct netpath_way *way)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < way->rounds; i++)
        lost += way->history >> i & 1;
    return way->rounds ? lost * 100 / way->rounds : 0;
}

/* The next size to be tried below @size; 0 when there is none. */
static uint16_t below(uint16_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        if (sizes[i] < size)
            return sizes[i];
    return 0;
}

/* Packets of one size are lost, small ones are not: a smaller one is tried. */
static void try_smaller(struct netpath *path)
{
    struct netpath_way *way = &path->ways[NETPROBE_SIZE];
    uint16_t tried = path->trying ? path->trying : path->full;
    /* The largest again: no better than before. */
    if (path->mtu && tried == path->full)
        path->trying = path->mtu;
    else if (below(tried))
        path->trying = below(tried);
    path->size_in = 0;
    way->lost = 0;
}

/* What follows of what was heard. */
static bool judge(struct netpath *path, int64_t now_ms)
{
    const struct netpath_way *tunnel = &path->ways[NETPROBE_TUNNEL];
    const struct netpath_way *plain = &path->ways[NETPROBE_PLAIN];
    bool was_up = path->up, was_plain = path->plain;
    if (tunnel->answered > 0)
        path->up = true;
    else if (tunnel->lost >= NETPATH_DOWN_AFTER)
        path->up = false;
    if (plain->answered >= NETPATH_PLAIN_AFTER)
        path->plain = true;
    else if (plain->lost >= NETPATH_PLAIN_UNTIL)
        path->plain = false;
    if (path->up == was_up && path->plain == was_plain)
        return false;
    path->since_ms = now_ms;
    return path->plain != was_plain;
}

bool netpath_round(struct netpath *path, int64_t now_ms)
{
    for (int i = 0; i < NETPROBE_KINDS; i++)
        if (path->ways[i].waiting)
            note(&path->ways[i], true);
    if (path->ways[NETPROBE_SIZE].lost >= NETPATH_SIZE_LOST &&
        path->ways[NETPROBE_TUNNEL].lost == 0 && path->ways[NETPROBE_TUNNEL].answered > 0)
        try_smaller(path);
    return judge(path, now_ms);
}

uint16_t netpath_size_due(struct netpath *path)
{
    if (path->full == 0 || path->ways[NETPROBE_TUNNEL].answered == 0)
        return 0;
    if (path->size_in > 0) {
        path->size_in--;
        return 0;
    }
    /* While the smaller one is fine the largest gets its turn. */
    if (path->mtu && path->trying == path->mtu && path->ways[NETPROBE_SIZE].answered > 0)
        path->trying = path->full;
    return path->trying ? path->trying : path->full;
}

uint16_t netpath_plain_size(struct netpath *path)
{
    bool sure = path->plain && path->ways[NETPROBE_PLAIN].lost == 0;
    if (sure && path->plain_in > 0) {
        path->plain_in--;
        return 0;
    }
    path->plain_in = NETPATH_SIZE_EVERY;
    return path->full;
}

uint16_t netpath_sent(struct netpath *path, enum netprobe_kind kind, int64_t now_ns)
{
    struct netpath_way *way = &path->ways[kind];
    way->waiting = true;
    way->sent_ns = now_ns;
    return ++way->number;
}

void netpath_not_sent(struct netpath *path, enum netprobe_kind kind)
{
    note(&path->ways[kind], true);
}

/* A large packet got through. */
static bool size_answered(struct netpath *path)
{
    uint16_t size = path->trying ? path->trying : path->full;
    uint16_t mtu = size == path->full ? 0 : size;
    bool changed = mtu != path->mtu;
    path->mtu = mtu;
    path->trying = mtu;
    path->size_in = mtu ? NETPATH_SIZE_RETRY : NETPATH_SIZE_EVERY;
    return changed;
}

bool netpath_answered(struct netpath *path, const struct netprobe_answer *answer, int64_t now_ns,
                      int64_t now_ms)
{
    struct netpath_way *way = &path->ways[answer->kind];
    if (!way->waiting || way->number != answer->number)
        return false;
    note(way, false);
    way->rtt_ms = (double)(now_ns - way->sent_ns) / 1e6;
    bool changed = answer->kind == NETPROBE_SIZE && size_answered(path);
    return judge(path, now_ms) || changed;
}
