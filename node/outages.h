/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outages - since when the leader has given no leases to nodes that are down or gone.
 *
 * Counted from when it first saw a node so while it led: by then it refused to confirm anything to
 * that node (api_on_member_call), and leases of leaders before it were asked for before it was
 * elected.
 */
#ifndef WHERRY_NODE_OUTAGES_H
#define WHERRY_NODE_OUTAGES_H

#include "scheduler/scheduler.h"

struct outages;

struct outages *outages_new(void);
void outages_free(struct outages *o);

/* We began to lead: what an earlier term knew is forgotten. */
void outages_forget(struct outages *o);

/* Look at the nodes of @view, now that @boot_ms is the boot time, and enter the outages. Borrowed
 * until the next call. */
void outages_read(struct outages *o, struct view *view, int64_t boot_ms);

#endif
