/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - names of the cluster for the containers of this machine (RFC 1035, by UDP and TCP; RFC
 * 6891).
 *
 * Listens on 169.254.1.1:53, where every container's resolv.conf points. Answers come from the
 * store (names.h): addresses, SRV, TXT and PTR of services, tasks and members, and the users' own
 * records. Time to live 2 s, of records as they say. A name it knows nothing of goes to the task's
 * own or the machine's resolvers (resolvers.h), a bounded number at a time; their answers are
 * remembered as long as they allow, at most five minutes. Messages are parsed and written with
 * ldns. Loop thread.
 */
#ifndef WHERRY_NODE_DNS_H
#define WHERRY_NODE_DNS_H

struct daemon;
struct dns;

/* Begin: everything happens on the loop of the daemon. */
struct dns *dns_new(struct daemon *d);

/* Close and free; the memory goes once its handles are closed on the loop. */
void dns_free(struct dns *dns);

/* These tables changed (mask of 1 << enum table). */
void dns_on_change(struct dns *dns, unsigned tables);

/* Listen, if it does not yet: the gateway's address exists now. Failing is logged once and tried
 * again at the next call. */
void dns_listen(struct dns *dns);

#endif
