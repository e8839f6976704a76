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

/* --- apply_registry.c ---------------------------------------------------------------------- */

/* A new cluster key takes over: put the passwords of @registries, all there are, in the place of
 * those sealed by the one before. ERR_CONFLICT when one is missing or has changed. */
int registries_reseal(struct apply *apply, const struct resealed *registries, size_t n,
                      int64_t generation, struct err *err);

/* --- apply_node.c -------------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) what no cluster's row can be. */
int cluster_validate(const struct cluster *cluster, struct err *err);

/* Make @given a member with the next id; volumes that wait for a member of its name have their home
 * back. ERR_EXISTS when its name or key is taken. */
int node_join(struct apply *apply, const struct node *given, struct err *err);

/* --- apply_spec.c -------------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) what no node could run, at the active @level. @object names it: "service
 * app.web". */
int spec_validate(const struct spec *spec, int level, const char *object, struct err *err);

/* --- apply_revision.c ---------------------------------------------------------------------- */

/* Give @service the spec @spec (copied) as a new revision, or as the same one when only its number
 * of replicas or the like differs, and write it; tasks that need not be replaced belong to it then.
 * @cause: see struct service. Returns false when there was nothing to do. */
bool service_revise(struct apply *apply, struct service *service, const struct spec *spec,
                    const char *cause);

/* The spec that @service had as @revision, as a new record. ERR_NOTFOUND: it is not kept. */
int revision_spec(struct apply *apply, const struct service *service, int64_t revision,
                  struct spec *ret_spec, struct err *err);

/* Forget revisions of a service that no task runs any more, but for those that are kept. */
void revisions_trim(struct apply *apply, int64_t service_id);

/* --- apply_rollout.c ----------------------------------------------------------------------- */

/* Make the spec that @service had as @revision its newest one, and write it. ERR_NOTFOUND when it
 * is not kept, ERR_INVALID when nothing differs; ERR_EXISTS: another service has one of its ports
 * by now. */
int service_roll_back(struct apply *apply, struct service *service, int64_t revision,
                      const char *message, struct err *err);

/* --- apply_job.c --------------------------------------------------------------------------- */

/* @service has a new revision that asks for no new run: those of the one before are of it. */
void runs_take_over(struct apply *apply, const struct service *service);

/* Forget the runs of a service. */
void runs_delete(struct apply *apply, int64_t service_id);

/* --- apply_depends.c ----------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) a stack whose services, those not removed, depend on one that is not there
 * or on each other in a circle. */
int depends_validate(const char *stack, const struct service *services, size_t n, struct err *err);

/* --- apply_service.c ----------------------------------------------------------------------- */

/* What users call a service ("app.web"), as a new string. */
char *service_title(const struct service *service);

/* Claim the published ports of @service. ERR_EXISTS names who has one. */
int service_claim_ports(struct apply *apply, const struct service *service, struct err *err);

/* Let go of the ports of a service. */
void service_drop_ports(struct apply *apply, int64_t service_id);

/* Mark @service removed: it keeps its row until its last task is gone. */
void service_mark_removed(struct apply *apply, struct service *service);

/* Delete a stack that has no service left, with its networks. Does nothing when it has one. */
void stack_collect(struct apply *apply, int64_t stack_id);

/* --- apply_network.c ----------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) names and the like of a network that a deploy describes. */
int network_given_check(const struct deploy_network *given, struct err *err);

/* Make a network of @stack, or make the one that is there be as @given. ERR_EXISTS: it is another
 * stack's, or its range meets another's; ERR_CONFLICT: its range cannot be changed. */
int network_deploy(struct apply *apply, const struct stack *stack,
                   const struct deploy_network *given, struct err *err);

/* Refuse (ERR_DENIED) a network of another stack than @stack_id. */
int network_attach_check(const struct network *network, int64_t stack_id, const char *object,
                         struct err *err);

/* --- apply_endpoint.c ---------------------------------------------------------------------- */

/* Give @service, whose row is written, the addresses that its spec asks for and take back the
 * others; its row is written again when that changed something. */
int service_settle_addresses(struct apply *apply, struct service *service, struct err *err);

/* Take back all of them: the service is about to go. */
void service_drop_addresses(struct apply *apply, const struct service *service);

/* --- apply_volume.c ------------------------------------------------------------------------ */

/* Refuse (ERR_INVALID) what is no name for a volume. */
int volume_name_check(const char *name, struct err *err);

/* Make a volume of @stack; one that is there outlived its stack, or is another's. */
void volume_deploy(struct apply *apply, const struct stack *stack,
                   const struct deploy_volume *given);

/* --- apply_content.c ----------------------------------------------------------------------- */

/* Refuse (ERR_INVALID) configs and secrets that @spec of a service of @stack has and that are not
 * there, or are another stack's. */
int contents_check(struct apply *apply, const struct spec *spec, const char *stack,
                   const char *object, struct err *err);

/* Forget versions that came with @stack and that no revision of its services has. */
void contents_collect(struct apply *apply, const char *stack);

/* A new cluster key takes over, of @generation: put the keys of @keys, of all secrets there are, in
 * the place of those sealed by the one before. ERR_CONFLICT when one is missing. */
int contents_reseal(struct apply *apply, const struct content_key *keys, size_t n,
                    int64_t generation, struct err *err);

/* --- apply_task.c -------------------------------------------------------------------------- */

/* Delete @task: free its addresses, and the revision it ran if it was the last to. */
void task_delete(struct apply *apply, const struct task *task);

/* Refuse (ERR_CONFLICT) a member that does not exist, is a witness or down, or takes no new tasks;
 * else *@ret_node is its row. */
int task_node_get(struct apply *apply, int64_t node_id, struct node *ret_node, struct err *err);

/* What users call a task ("app.web.2"), as a new string. */
char *task_title(const struct task *task);

#endif
