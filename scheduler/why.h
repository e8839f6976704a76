/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why - what each node says to one more task of a service.
 *
 * As the filters answer while a plan is made, node by node and in words, for people who ask why
 * something waits.
 */
#ifndef WHERRY_SCHEDULER_WHY_H
#define WHERRY_SCHEDULER_WHY_H

#include "scheduler/scheduler.h"

/* Append to @out what @node would say to one more task of @service, of @view: "has room", or
 * "512 MiB of memory unreserved, 1024 MiB are asked for". Pure. */
void scheduler_why(const struct view *view, const struct service *service, const struct node *node,
                   struct buf *out);

#endif
