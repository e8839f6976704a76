/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netsync - the networks of this machine follow the store and the agents.
 *
 * Has the whole network state made (netstate.h) from the store and from the containers that are
 * here, and applies it on a thread of its own: at every change, once for many, and every few
 * seconds, so that what a stranger flushed comes back, and what processes of the machine listen on
 * is left to them. Loop thread.
 */
#ifndef WHERRY_NODE_NETSYNC_H
#define WHERRY_NODE_NETSYNC_H

#include <stdint.h>

struct daemon;
struct netsync;
struct network_status_reply;

/* Begin: everything happens on the loop of the daemon. */
struct netsync *netsync_new(struct daemon *d);

/* No more work; what runs may end. */
void netsync_stop(struct netsync *n);

/* Free, after netsync_stop() and when its job is over. */
void netsync_free(struct netsync *n);

/* These tables changed (mask of 1 << enum table). */
void netsync_on_change(struct netsync *n, unsigned tables);

/* The containers here changed: apply soon. Returns the generation that will contain it; what
 * becomes of each container is told by reconcile_on_network(). */
int64_t netsync_request(struct netsync *n);

/* Why the last attempt failed, "" if it did not. Borrowed. */
const char *netsync_error(const struct netsync *n);

/* Fill the empty @reply with how the network of this machine is. */
void netsync_describe(const struct netsync *n, struct network_status_reply *reply);

#endif
