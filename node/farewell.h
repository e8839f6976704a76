/* SPDX-License-Identifier: Apache-2.0 */
/*
 * farewell - a daemon that was told to drain its machine before it stops.
 *
 *     signal ──► drained: its tasks go elsewhere, successors first ──► none is left, or the time is
 *     over, or a second signal ──► it stops
 *
 * A file in the data folder says that it was us who drained, so that the next start takes tasks
 * again; a member that an operator had drained or paused stays as it was.
 */
#ifndef WHERRY_NODE_FAREWELL_H
#define WHERRY_NODE_FAREWELL_H

#include <stdbool.h>

struct daemon;

/* Begin, if that is wanted and there is somebody to take over. True: daemon_stop() is called when
 * it is done; false: stop now. */
bool farewell_begin(struct daemon *d);

/* Free what is left of it, when the daemon stops. */
void farewell_end(struct daemon *d);

/* After the start as a member: take tasks again if the last farewell had us drained. */
void farewell_resume(struct daemon *d);

#endif
