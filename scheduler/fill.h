/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill - create what is missing in the slots of a service.
 */
#ifndef WHERRY_SCHEDULER_FILL_H
#define WHERRY_SCHEDULER_FILL_H

#include "scheduler/slots.h"

/* Create a task for every slot that is MISSING or LOST, where a node fits; note those that wait for
 * a node or for what the service depends on. */
void fill_slots(struct slots *slots);

/* True when a successor of the task in @slot, which is HELD, would find a node; else note that it
 * waits. */
bool fill_can_follow(struct slots *slots, const struct slot *slot);

#endif
