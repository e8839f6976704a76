/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netstate - the network state of this machine (runtime/network.h), made from the store and from
 * the containers that are here.
 *
 * Made on the loop; a job may then read it, and leave out ports, on its own thread.
 */
#ifndef WHERRY_NODE_NETSTATE_H
#define WHERRY_NODE_NETSTATE_H

#include "runtime/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct netpaths;

/* A network on the machines' own link. */
struct netstate_lan {
    int64_t id;
    struct network_lan of; /* without an address */
};

/* A network state that owns everything it points to. */
struct netstate {
    struct network_state state;
    bool ipv6; /* this machine has it; else rows of IPv6 are left out */
    struct network_prefix *networks;
    int64_t *network_ids; /* in step with networks */
    struct network_endpoint *endpoints;
    struct network_peer *peers;
    struct network_remote *remotes;
    struct network_publish *publishes;
    struct network_service *services;
    struct network_prefix *internals;
    bool *internal; /* in step with networks */
    struct netstate_lan *lans;
    size_t lans_n;
    bool *connected;     /* in step with endpoints: for who applies it */
    char (*waiting)[24]; /* containers whose address another here has still */
    size_t waiting_n;
    char held[200]; /* ports that processes here hold, and are not published; "": none */
};

/* Make it; @paths, which may be NULL, say of each member which ways to it work. Loop thread. False,
 * with nothing to release, while there is no cluster in the store. */
bool netstate_init(struct netstate *n, struct daemon *d, const struct netpaths *paths);

/* Leave out published ports that processes of this machine hold: its own server keeps its port.
 * Reads /proc: for a job. */
void netstate_leave_held_ports(struct netstate *n);

void netstate_release(struct netstate *n);

#endif
