/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depends - whether what a service depends on is there.
 */
#ifndef WHERRY_SCHEDULER_DEPENDS_H
#define WHERRY_SCHEDULER_DEPENDS_H

#include "scheduler/lookup.h"

enum {
    WAITS_FOR_BYTES = sizeof(((struct unplaced *)0)->waits_for),
};

/* True when everything that @service depends on is there. Else @ret_waits_for, of WAITS_FOR_BYTES,
 * names the first thing that is not: "app.db to be healthy".
 *
 * A service that was scaled to 0 holds nobody up. Once something of @service has run, it no longer
 * waits: moving and scaling must not hang on a neighbour's bad day. (A job asks anew for every
 * revision.) */
bool depends_let_start(const struct lookup *lookup, const struct service_tasks *service,
                       char *ret_waits_for);

/* True when a new revision of @service may replace tasks that run: jobs that it wants completed
 * are. Same output as depends_let_start(). */
bool depends_let_update(const struct lookup *lookup, const struct service_tasks *service,
                        char *ret_waits_for);

#endif
