/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dues - when jobs with a schedule are to run, for the leader's view.
 *
 * Counted from the time that was dealt with last (service.scheduled_ms), or from when the service
 * was last changed if that is later. A schedule in a time zone that this machine does not know
 * never comes; the log says so.
 */
#ifndef WHERRY_NODE_DUES_H
#define WHERRY_NODE_DUES_H

#include "scheduler/scheduler.h"

struct dues;

/* None yet; free with dues_free(). */
struct dues *dues_new(void);
void dues_free(struct dues *dues);

/* What the schedules of the services of @view say at its now_ms, by service id. Borrowed until the
 * next call. Reads files of time zones, once each. */
void dues_read(struct dues *dues, const struct view *view, const struct due **ret_list,
               size_t *ret_n);

/* The next time that @service, a job with a schedule, is to run after @now_ms; INT64_MAX: never. */
int64_t dues_next(struct dues *dues, const struct service *service, int64_t now_ms);

#endif
