/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruleset_sets - the sets and maps of the nftables table, and the chain of each published port.
 *
 *     endpoints    (device, address) that a packet from a container may have
 *     pairs        (source, destination) inside one network, as prefixes
 *     itself       (source, destination) that are the same container here
 *     members      addresses of the other members
 *     marks        the mark of each member by the MAC of its tunnel device
 *     ports        (protocol, port) to the chain that picks a backend
 *     closed       (protocol, port) published without a backend
 *     services     addresses of services to the chain that picks a backend
 *
 * Those that hold addresses, or lead to some, are there a second time for IPv6, "endpoints6" and so
 * on, where a network has it.
 */
#ifndef WHERRY_RUNTIME_RULESET_SETS_H
#define WHERRY_RUNTIME_RULESET_SETS_H

struct netplan;
struct nft_batch;

/* Build them into @b. Rules that name them come after. */
void ruleset_build_sets(struct nft_batch *b, const struct netplan *plan);

#endif
