/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stackplan - what a deploy would do, without doing it.
 *
 * The deploy is applied for real to a copy of the state, where scheduler and store then work until
 * all is at rest (foresee.h). So the answer is not a second opinion: it is the deploy.
 */
#ifndef WHERRY_NODE_STACKPLAN_H
#define WHERRY_NODE_STACKPLAN_H

#include "cluster/api.h"
#include "store/store.h"

/* Fill *@ret_reply (zeroed; release with record_release); with @brief only of services, not what
 * becomes of each task. Fails as the deploy would. */
int stack_plan(struct store *store, const struct change_stack_deploy *deploy, bool brief,
               struct plan_reply *ret_reply, struct err *err);

/* Append the names of the fields in which two specs differ, "image, environment"; nothing when they
 * are the same. */
void spec_differences(const struct spec *a, const struct spec *b, struct buf *out);

#endif
