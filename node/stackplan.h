/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stackplan - what a deploy would do, without doing it.
 *
 * The deploy is applied for real to a copy of the state, and the scheduler asked what its first
 * step would be there. So the answer is not a second opinion: it is the deploy.
 */
#ifndef WHERRY_NODE_STACKPLAN_H
#define WHERRY_NODE_STACKPLAN_H

#include "cluster/api.h"
#include "store/store.h"

/* Fill *@ret_reply (zeroed; release with record_release). Fails as the deploy would. */
int stack_plan(struct store *store, const struct change_stack_deploy *deploy,
               struct plan_reply *ret_reply, struct err *err);

#endif
