/* SPDX-License-Identifier: Apache-2.0 */
/*
 * companion - services whose tasks are in the network of another service's (spec.network_of,
 * "network_mode: service:" of Compose).
 *
 * The task in slot n of a companion is beside the task in slot n of the other one, its host: on its
 * node, from when that one runs until it is to end. It never leaves its node by itself; where its
 * volumes are, its host goes.
 */
#ifndef WHERRY_SCHEDULER_COMPANION_H
#define WHERRY_SCHEDULER_COMPANION_H

#include "scheduler/planner.h"

#include <stddef.h>

/* True when @service is one. */
bool service_is_companion(const struct service *service);

/* The task that one in @slot of @service, a companion, is to be beside: it runs, the
 * plan does not end it, and of two it is the newer. NULL: there is none yet. Borrowed from the
 * view. */
const struct task *companion_host(const struct planner *planner, const struct service *service,
                                  int64_t slot);

/* True when @task may stay beside the task it is with. One that is with none always may. */
bool companion_stays(const struct lookup *lookup, const struct task *task);

/* What @slot of @service waits for when it has no host: "app.vpn.1, whose network it shares, to
 * run". */
void companion_waits_for(const struct lookup *lookup, const struct service *service, int64_t slot,
                         char *out, size_t size);

#endif
