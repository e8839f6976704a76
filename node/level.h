/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level - members of different versions in one cluster (store/level.h).
 *
 * Every member says in its heartbeats and in its row which level of changes it knows. The leader
 * raises the cluster's level when every voter and every member that is up knows it, and until then
 * refuses to propose what is above. Loop thread.
 */
#ifndef WHERRY_NODE_LEVEL_H
#define WHERRY_NODE_LEVEL_H

#include "store/change.h"

struct daemon;

/* The level this member knows: its build's, unless an option says to pretend otherwise. */
int level_known(const struct daemon *d);

/* The version this member says it is. */
const char *level_version(const struct daemon *d);

/* Refuse (ERR_UNAVAILABLE, naming who does not know it) what is above the active level. The
 * leader's side. */
int level_check(struct daemon *d, const struct change *change, struct err *err);

/* Leave out of a member's description what the cluster does not know yet. */
void level_lower(struct daemon *d, struct node *node);

/* The ready leader, now and then: raise the level if it is time. */
void level_step(struct daemon *d);

#endif
