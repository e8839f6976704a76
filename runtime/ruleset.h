/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruleset - the nftables table of a machine, made from its plan.
 *
 * Chains on hooks, in the order a packet meets them:
 *
 *     raw          what comes from a container carries its own address; nothing from outside has
 *                  an address of 127.0.0.0/8 (which these devices may route, for localhost)
 *     mark         a connection that a client made through another member is marked with that
 *                  member; replies from containers take the mark, and a routing rule sends them
 *                  back
 *     dnat, local  service addresses and published ports: to one healthy backend by chance;
 *                  `local` is for processes of this machine
 *     plain        what containers of one network send each other is marked; a routing rule gives
 *                  it plain routes where there are some, else it goes on to the tunnel
 *     answer       the answer to a probe that came by a plain route takes one
 *     input        tunnel packets from members only; ports without a backend are refused at once;
 *                  containers reach DNS at the gateway address and this machine's own addresses
 *     forward      isolation; what is in the set "internals" goes nowhere else
 *     unmark       the mark is cleared on the tunnel device: the outer packet would be routed by it
 *                  and loop
 *     snat         who must not be seen as the source: localhost, a container that reaches itself
 *                  or a foreign network by a published port, members, containers towards the
 *                  outside
 */
#ifndef WHERRY_RUNTIME_RULESET_H
#define WHERRY_RUNTIME_RULESET_H

#include "runtime/nft.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct netlink;
struct netplan;

#define RULESET_TABLE "wherry"

/* What was last put in place, and when: what nobody has touched since needs not be read again. */
struct ruleset_memory {
    struct nft_batch last;
    bool known;
    uint32_t generation; /* of all tables, behind our last change */
};

/* How ruleset_sync went. */
struct ruleset_result {
    bool changed;
    size_t bytes; /* of the last update that told the difference only; 0: none */
};

/* Build the table of @plan into the empty batch @b. Pure. */
void ruleset_build(struct nft_batch *b, const struct netplan *plan);

/* Make the kernel's table that of @plan, in one step: nothing to do, or the difference to what is
 * remembered, or all of it anew, when somebody took parts out of it or it was made by another
 * process. @memory is zero at first; @nl is a netfilter socket. */
int ruleset_sync(struct netlink *nl, const struct netplan *plan, struct ruleset_memory *memory,
                 struct ruleset_result *ret, struct err *err);

/* Forget, and free, what is remembered. */
void ruleset_forget(struct ruleset_memory *memory);

#endif
