/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netprobe - asks whether packets to another member get through: pings (ICMP echo, RFC 792) for its
 * hop, which its kernel answers, also while its daemon is away.
 *
 *     NETPROBE_TUNNEL   by the VXLAN device, a small packet
 *     NETPROBE_SIZE     the same with a packet of a certain size that must not be broken up
 *     NETPROBE_PLAIN    by a plain route, there and back (ruleset.h)
 *
 * One thread, in the network namespace that it was opened in.
 */
#ifndef WHERRY_RUNTIME_NETPROBE_H
#define WHERRY_RUNTIME_NETPROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netprobe;

enum netprobe_kind {
    NETPROBE_TUNNEL,
    NETPROBE_SIZE,
    NETPROBE_PLAIN,
    NETPROBE_KINDS,
};

/* An answer that came. */
struct netprobe_answer {
    uint32_t peer;
    enum netprobe_kind kind;
    uint16_t number; /* as it was sent with */
};

/* Open the sockets of member @node_id. It need not have its address yet. */
int netprobe_open(uint32_t node_id, struct netprobe **ret, struct err *err);
void netprobe_close(struct netprobe *probe);

/* What to wait for answers on. */
int netprobe_fd(const struct netprobe *probe);

/* Ask @peer with a packet of @size bytes, its IPv4 header among them; less than the least counts as
 * that. Fails at once when there is no way. */
int netprobe_send(struct netprobe *probe, uint32_t peer, enum netprobe_kind kind, uint16_t number,
                  size_t size);

/* Take an answer. False when there is none left. What is not an answer to ours is left out. */
bool netprobe_receive(struct netprobe *probe, struct netprobe_answer *ret);

#endif
