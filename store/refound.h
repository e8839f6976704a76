/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refound - the state of one cluster becomes the first state of another: what a restore does.
 *
 * Stacks, services, networks, volumes and settings stay, with the addresses of networks and the
 * published ports. Registries stay without their passwords, which a key sealed that is no more.
 * Members, tasks, tokens and remembered requests go: they belong to machines and to a CA that are
 * no more. Tasks of jobs that are complete stay, so that no job runs twice.
 *
 * The index goes on from the old one, so that a row's modified_index never goes back. Nothing of
 * the state is half done when it fails: the caller throws the store away.
 */
#ifndef WHERRY_STORE_REFOUND_H
#define WHERRY_STORE_REFOUND_H

#include "store/store.h"

struct err;

struct refound {
    struct cluster cluster; /* uuid, ca, keys, vxlan_id, level of the new one; the pool stays */
    struct node founder;    /* as in CHANGE_CLUSTER_INIT; it becomes node 1 */
    bool forget_homes; /* volumes have no home; else those of members that are not there wait */
    int64_t now_ms;
};

/* How many there were of what does not simply stay. */
struct refound_result {
    int64_t tasks;
    int64_t tokens;
    int64_t homes_here;   /* volumes whose home had the founder's name */
    int64_t homes_away;   /* volumes that wait for a member of their home's name */
    int64_t homes_forgot; /* volumes that will start empty wherever their first task is placed */
    char **logins;        /* registries that need a login again; NULL-terminated */
    int64_t secrets;      /* versions of secrets whose content is lost with the old key */
};

/* Free what @result owns. */
void refound_result_release(struct refound_result *result);

/* Found a new cluster from @store's state, as the entry store_index() + 1 of its log. ERR_NOTFOUND:
 * it has no cluster; otherwise what CHANGE_CLUSTER_INIT refuses. */
int store_refound(struct store *store, const struct refound *refound,
                  struct refound_result *ret_result, struct err *err);

#endif
