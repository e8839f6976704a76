/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foresee - what becomes of the tasks after a change, without making it.
 *
 * On a copy of the state the real scheduler plans and the real store applies, step after step,
 * until nothing is left to do, while members are imagined that do at once and without fault what
 * they are told, in a time of their own. So it is no second opinion: what the cluster then does
 * differs only as far as members do. Left out are balance, which comes later, and schedules.
 */
#ifndef WHERRY_NODE_FORESEE_H
#define WHERRY_NODE_FORESEE_H

#include "cluster/api.h"
#include "store/store.h"

/* A copy of @store, to be freed with store_free(). */
int foresee_copy(struct store *store, struct store **ret_copy, struct err *err);

/* Apply a change to @copy. Fails as the change would. */
int foresee_apply(struct store *copy, int64_t now_ms, enum change_kind kind, const void *body,
                  struct err *err);

/* Have @copy, a copy of what @before is now with a change applied, come to rest, and append to
 * @reply what becomes of each slot: "place", "replace" (on its member), "move", "stop", or "wait"
 * and why. Of
 * @stack alone unless that is NULL. Returns false when it did not come to rest within bounds: what
 * was found until then is told. Blocks; may be called from any thread that owns @before and @copy.
 */
bool foresee_tasks(struct store *before, struct store *copy, const char *stack,
                   struct plan_reply *reply);

#endif
