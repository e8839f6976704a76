/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave - this machine leaves its cluster, and its daemon becomes that of a machine in none.
 *
 *     LEAD ──another member leads──► ASK ──the row is gone──► EMPTY ──no container, no route──►
 * over
 *
 * While we LEAD the members' loop hands leadership on (shape.h). What was to be moved was moved
 * before (drain); what is left ends with the row. Then the daemon stops, forgets who it was, and
 * starts anew in the same process: named volumes and images stay, logs and keys go. A crash on the
 * way is made up for at the next start, from the moment the row was gone.
 */
#ifndef WHERRY_NODE_LEAVE_H
#define WHERRY_NODE_LEAVE_H

#include <stdbool.h>

struct daemon;
struct err;

/* The end of leave_begin(): err->code 0 when this machine is no member any more; else it still is.
 */
typedef void (*leave_cb)(void *arg, const struct err *err);

/* Whether it may be tried, as leave_begin() asks first: 0, or its error. */
int leave_check(const struct daemon *d, struct err *err);

/* Leave. ERR_INVALID for the last member, ERR_BUSY when it is leaving already. */
void leave_begin(struct daemon *d, leave_cb cb, void *arg);

/* True between leave_begin() and its end: leadership is not for us. */
bool leave_is_going(const struct daemon *d);

/* At the start: finish what a crash cut short. */
int leave_resume(const char *data_dir, struct err *err);

/* Forget who we were, and run the same program with the same arguments in our place. Returns only
 * on failure. Nothing may be on the loop any more. */
int leave_start_anew(const char *data_dir, struct err *err);

#endif
