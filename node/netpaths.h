/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netpaths - this member's ways to all others, pinged every second.
 *
 * Says of each whether plain routes can be taken and how large a packet may be (netpath.h), and
 * what is to be seen of it. Witnesses are not asked: they have no tunnel. Loop thread.
 */
#ifndef WHERRY_NODE_NETPATHS_H
#define WHERRY_NODE_NETPATHS_H

#include <stddef.h>
#include <stdint.h>

struct daemon;
struct netpath;
struct netpaths;
struct network_status_reply;

/* Begin, in the daemon's network namespace. @on_change is called when routes are to change. NULL,
 * with a warning in the log, when there are no sockets to ping with: all goes by the tunnel then.
 */
struct netpaths *netpaths_new(struct daemon *d, void (*on_change)(void *arg), void *arg);

/* No more of it; memory is freed when the loop has closed what it had. NULL is fine. */
void netpaths_free(struct netpaths *paths);

/* The largest packet of a container here, as network_mtu has it. */
void netpaths_set_mtu(struct netpaths *paths, uint32_t mtu);

/* What is known of the way to member @peer, or NULL. */
const struct netpath *netpaths_find(const struct netpaths *paths, uint32_t peer);

/* Append a row per way to @reply; names come from the state. */
void netpaths_describe(const struct netpaths *paths, struct network_status_reply *reply);

#endif
