/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - names of the cluster for the containers of this machine.
 *
 * Listens on udp and tcp 169.254.1.1:53, where every container's resolv.conf points. Answers come
 * straight from the store: the task a query comes from is told by its source address; within the
 * networks that task is in,
 *     web, web.STACK        addresses of the healthy tasks of service web, shuffled
 *     web.2, web.2.STACK    of one task
 *     an alias              as the service
 * Its own stack comes first for a bare name. Time to live 2 s. A name it knows nothing of goes to
 * the machine's own resolvers (/etc/resolv.conf), with a bounded number of queries under way.
 * Messages are parsed and written with ldns. Loop thread.
 */
#ifndef WHERRY_NODE_DNS_H
#define WHERRY_NODE_DNS_H

struct daemon;
struct dns;

struct dns *dns_new(struct daemon *d);

/* Close and free; the memory goes once its handles are closed on the loop. */
void dns_free(struct dns *dns);

/* Listen, if it does not yet: the gateway's address exists now. Failing is logged once and tried
 * again at the next call. */
void dns_listen(struct dns *dns);

#endif
