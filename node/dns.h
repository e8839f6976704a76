/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - names of the cluster for the containers of this machine (RFC 1035, over UDP).
 *
 * Listens on 169.254.1.1:53, where every container's resolv.conf points. Answers come straight from
 * the store (names.h). Time to live 2 s. A name it knows nothing of goes to the machine's own
 * resolvers (/etc/resolv.conf), a bounded number at a time, each from a port of its own. Messages
 * are parsed and written with ldns. Loop thread.
 */
#ifndef WHERRY_NODE_DNS_H
#define WHERRY_NODE_DNS_H

struct daemon;
struct dns;

/* Begin: everything happens on the loop of the daemon. */
struct dns *dns_new(struct daemon *d);

/* Close and free; the memory goes once its handles are closed on the loop. */
void dns_free(struct dns *dns);

/* Listen, if it does not yet: the gateway's address exists now. Failing is logged once and tried
 * again at the next call. */
void dns_listen(struct dns *dns);

#endif
