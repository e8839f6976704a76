/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core - the parts of a member that need nothing of its machine: no container, network or socket.
 *
 * How changes and reads get to the leader, who is alive, who belongs to the cluster, the leader's
 * loop, reports. They talk to the consensus, the store and the bus only, so the simulation
 * (tests/sim/cluster) runs just these, put together by just this. What needs the machine is wired
 * in daemon.c.
 *
 *     core_start → core_on_* … → core_close → core_free
 *
 * Everything runs on the loop of the daemon. d->store, d->consensus and d->bus are there.
 */
#ifndef WHERRY_NODE_CORE_H
#define WHERRY_NODE_CORE_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;

/* Make all parts. */
void core_start(struct daemon *d);

/* These tables changed (mask of 1 << enum table). */
void core_on_watch(struct daemon *d, unsigned tables);

/* Consensus says who leads, 0: nobody; @ready: we do. */
void core_on_leader(struct daemon *d, int64_t leader_id, bool ready);

/* The consensus has stopped: close them; whoever still waits for one is answered. Their handles are
 * gone from the loop some turns later. */
void core_close(struct daemon *d);

/* After core_close(), when nobody uses the rest any more: free it. */
void core_free(struct daemon *d);

#endif
