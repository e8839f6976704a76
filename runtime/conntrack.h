/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack - forget connections that lead to backends of before.
 *
 * The kernel translates only the first packet of a connection and then remembers. When a backend
 * goes, its connections must be forgotten, or their clients talk to nobody until a time-out: UDP
 * clients go on with another backend at once, TCP clients get a reset and connect anew. A backend
 * that gets no new connections but is still there, because it is about to stop, may finish those
 * of TCP.
 */
#ifndef WHERRY_RUNTIME_CONNTRACK_H
#define WHERRY_RUNTIME_CONNTRACK_H

#include <stddef.h>

struct err;
struct netlink;
struct netplan;

/* Delete the entries whose destination was translated into the cluster's ranges by a port or a
 * service address that does not have that backend in @plan; those of TCP only when no container has
 * the backend's address. @nl is a netfilter socket. Returns how many, or an error. */
int conntrack_prune(struct netlink *nl, const struct netplan *plan, struct err *err);

#endif
