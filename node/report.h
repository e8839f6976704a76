/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - what this node's tasks do, told to the cluster in batches.
 *
 * The newest observation of each task waits here a moment so that many travel as one change; what
 * could not be written is kept and sent again. Loop thread.
 */
#ifndef WHERRY_NODE_REPORT_H
#define WHERRY_NODE_REPORT_H

#include "store/change.h"

struct daemon;
struct report;

/* Begin: everything happens on the loop of the daemon. */
struct report *report_new(struct daemon *d);

/* Stop sending. */
void report_stop(struct report *r);

/* Free, after report_stop(), once nothing of it is on the loop or proposed any more. */
void report_free(struct report *r);

/* Queue @observation (copied) in place of an older one of the same task. */
void report_task(struct report *r, const struct task_observation *observation);

#endif
