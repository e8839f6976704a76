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
 */
#ifndef WHERRY_RUNTIME_RULESET_SETS_H
#define WHERRY_RUNTIME_RULESET_SETS_H

struct netplan;
struct nft_batch;

/* Build them into @b. Rules that name them come after. */
void ruleset_build_sets(struct nft_batch *b, const struct netplan *plan);

#endif
