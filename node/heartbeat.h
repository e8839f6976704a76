/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat - who is alive, in the leader's memory only.
 *
 * Every member sends a beat to the leader twice a second; the leader answers with its commit index,
 * which tells a member whether its copy of the state is as far as the leader's. Nothing of this
 * touches the log: only "down" and "up" are changes. A new leader gives every node one time to
 * live. A time-out counts only while the leader's own loop was running, and beats that wait in a
 * socket are read before anyone is judged.
 */
#ifndef WHERRY_NODE_HEARTBEAT_H
#define WHERRY_NODE_HEARTBEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct heartbeat;

enum {
    HEARTBEAT_MS = 500,
    HEARTBEAT_TTL_MS = 2500,
};

/* Begin: everything happens on the loop of the daemon. */
struct heartbeat *heartbeat_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void heartbeat_free(struct heartbeat *h, void (*on_freed)(void *arg), void *arg);

/* We became the ready leader, or stopped being it. */
void heartbeat_on_leader(struct heartbeat *h, bool ready);

/* A BUS_HEARTBEAT from member @from. */
void heartbeat_on_message(struct heartbeat *h, int64_t from, const void *data, size_t len);

/* The level of changes that member @id knows, as its beats to us as the leader say; 0 when there
 * was none yet. */
int heartbeat_level(const struct heartbeat *h, int64_t id);

/* True when the leader (or we as leader) answered lately and our store has all it had committed. */
bool heartbeat_is_synced(const struct heartbeat *h);

/* Entries that the leader had committed when it last answered and our store lacks. */
int64_t heartbeat_behind(const struct heartbeat *h);

/* Milliseconds since our copy of the state was last known to have all that a leader had committed;
 * 0 while we lead, INT64_MAX when it never was since the daemon started. */
int64_t heartbeat_unsynced_ms(struct heartbeat *h);

/* Send one now: something about us changed. */
void heartbeat_now(struct heartbeat *h);

/* Whether the disk of member @id is full (space.h), and how much is free then, as far as the leader
 * knows. Of ourselves ask space.h. */
bool heartbeat_is_short(const struct heartbeat *h, int64_t id);
int64_t heartbeat_free_bytes(const struct heartbeat *h, int64_t id);

/* While we lead: @id has told us, since we do, that its disk is not full. */
bool heartbeat_has_room(const struct heartbeat *h, int64_t id);

/* Milliseconds since a leader last answered us; 0 while we lead. */
int64_t heartbeat_out_of_contact_ms(const struct heartbeat *h);

#endif
