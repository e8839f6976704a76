/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level - which changes, and which fields of them, a build knows.
 *
 * A level is a number that a build knows all of: 1 is the first release; whatever a later one adds
 * to the state has the level of that release. The cluster's row has the active level. It is raised
 * by a change of its own (CHANGE_LEVEL_RAISE) once all members know a higher one, and never
 * lowered. Nothing above the active level may be proposed: a member that does not know it would
 * have to stop.
 *
 *     a new kind of change    change_level() has its number
 *     a new field             FIELD_INT(struct node, level, .since = 2)
 *     a new value of an enum  FIELD_ENUM(struct spec, mode, names, .newer = MODE_GLOBAL_JOB,
 *                                        .newer_since = 4)
 *     a new table             at the end of the schema (sql.c); left out of snapshots while empty
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_STORE_LEVEL_H
#define WHERRY_STORE_LEVEL_H

#include "store/change.h"

struct store;

enum {
    LEVEL_FIRST = 1,
    LEVEL_KNOWN = 7,        /* of this build */
    CHANGE_BEGIN_LEVEL = 2, /* of a change that says at which index its request began */
};

/* The level of a kind's number. */
int change_kind_level(int kind);

/* The level that whoever applies @change must know: of its kind, and of the fields it uses. */
int change_level(const struct change *change);

/* The highest level of the fields of @record that are set; LEVEL_FIRST when all are of it. */
int record_level(const struct record_type *type, const void *record);

/* Empty the fields of @record that are above @level. */
void record_lower(const struct record_type *type, void *record, int level);

/* A row's or a beat's number as a level: nothing is the first. */
int level_of(int64_t number);

/* The active level of the cluster; LEVEL_KNOWN while there is none. */
int store_level(struct store *store);

/* Pretend that this build knows no more than @level: what is above stops the member as an unknown
 * kind does. For tests of mixed versions. */
void store_pretend_level(struct store *store, int level);

#endif
