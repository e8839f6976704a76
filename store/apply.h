/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply - one handler per kind of change; what they share.
 *
 * Inside store/ only. A handler either does the whole change and returns 0, or refuses it: it sets
 * @err and returns its code, and what it wrote until then is rolled back. It reads nothing but the
 * store and the change, so every member does and refuses the same. Messages are for users.
 */
#ifndef WHERRY_STORE_APPLY_H
#define WHERRY_STORE_APPLY_H

#include "store/internal.h"

/* The change that is being applied. */
struct apply {
    struct store *store;
    int64_t index;    /* of its entry */
    int64_t now_ms;   /* the state's time */
    int64_t made;     /* id of what it made, for the result */
    unsigned changed; /* 1 << enum table of each table written */
};

#define X(kind, number, body)                                                                      \
    int apply_##body(struct apply *apply, const struct change_##body *change, struct err *err);
CHANGE_KINDS(X)
#undef X

/* A new id for a row of any kind but nodes. */
int64_t apply_next_id(struct apply *apply);

/* Write a row; sets created_index (of a new one) and modified_index. */
void apply_put(struct apply *apply, enum table table, void *row);

/* Delete a row. */
void apply_delete(struct apply *apply, enum table table, int64_t id);

/* Record what happened, for people to follow. */
void apply_event(struct apply *apply, const char *kind, const char *object, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* --- apply_key.c --------------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) keys that are not described as keys are. */
int keys_validate(const struct cluster_keys *keys, struct err *err);

/* --- apply_node.c -------------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) what no cluster's row can be. */
int cluster_validate(const struct cluster *cluster, struct err *err);

/* Make @given a member with the next id; volumes that wait for a member of its name have their home
 * back. ERR_EXISTS when its name or key is taken. */
int node_join(struct apply *apply, const struct node *given, struct err *err);

/* --- apply_spec.c -------------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) what no node could run. @object names it: "service app.web". */
int spec_validate(const struct spec *spec, const char *object, struct err *err);

/* True when tasks of @a need not be replaced to become tasks of @b. */
bool spec_runs_same(const struct spec *a, const struct spec *b);

/* --- apply_depends.c ----------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) a stack whose services, those not removed, depend on one that is not there
 * or on each other in a circle. */
int depends_validate(const char *stack, const struct service *services, size_t n, struct err *err);

/* --- apply_service.c ----------------------------------------------------------------------- */

/* Claim the published ports of @service. ERR_EXISTS names who has one. */
int service_claim_ports(struct apply *apply, const struct service *service, struct err *err);

/* Let go of the ports of a service. */
void service_drop_ports(struct apply *apply, int64_t service_id);

/* Mark @service removed: it keeps its row until its last task is gone. */
void service_mark_removed(struct apply *apply, struct service *service);

/* Delete a stack that has no service left, with its networks. Does nothing when it has one. */
void stack_collect(struct apply *apply, int64_t stack_id);

/* --- apply_task.c -------------------------------------------------------------------------- */

/* Delete @task: free its addresses, and the revision it ran if it was the last to. */
void task_delete(struct apply *apply, const struct task *task);

/* What users call a task ("app.web.2"), as a new string. */
char *task_title(const struct task *task);

#endif
