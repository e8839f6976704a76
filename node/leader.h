/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leader - the leader's loop: services against tasks, one step at a time.
 *
 * While this member is the ready leader: read the view from the store, ask the scheduler, propose
 * its steps, and ask again when they are applied or something else changed. Nothing is kept from
 * one round to the next, so a new leader simply carries on. An idle cluster proposes nothing.
 */
#ifndef WHERRY_NODE_LEADER_H
#define WHERRY_NODE_LEADER_H

#include "scheduler/scheduler.h"

struct daemon;
struct leader;
struct store;

/* Begin: everything happens on the loop of the daemon. */
struct leader *leader_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void leader_free(struct leader *l, void (*on_freed)(void *arg), void *arg);

/* We became the ready leader, or stopped being it. */
void leader_on_leader(struct leader *l, bool ready);

/* These tables changed (mask of 1 << enum table). */
void leader_on_change(struct leader *l, unsigned tables);

/* Read what the scheduler needs from @store. Release with view_release(). */
void view_read(struct store *store, int64_t now_ms, struct view *ret_view);
void view_release(struct view *view);

#endif
