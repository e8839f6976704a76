/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward - call another member over the bus and wait for its reply.
 *
 * Loop thread. A call to a member that is not connected was not sent: it ends with ERR_UNAVAILABLE
 * (ERR_BUSY when too much waits for that member, or FORWARD_CALLS_MAX calls wait, ERR_TOOBIG). When
 * the connection breaks it ends with ERR_UNKNOWN, when no reply comes in time with ERR_TIMEOUT:
 * whether it was done is then not known, and the caller's request id makes a retry safe.
 */
#ifndef WHERRY_NODE_FORWARD_H
#define WHERRY_NODE_FORWARD_H

#include "cluster/wire.h"

struct daemon;
struct forward;

enum {
    FORWARD_CALLS_MAX = 8192, /* that wait for their replies */
};

/* The end of a call: err->code 0 and the reply (which may itself hold an error), or an error. Both
 * are borrowed. */
typedef void (*forward_cb)(void *arg, const struct err *err, const struct reply *reply);

/* Begin: everything happens on the loop of the daemon. */
struct forward *forward_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void forward_free(struct forward *f, void (*on_freed)(void *arg), void *arg);

/* Send @call (copied) to member @to. @cb comes later, exactly once. Returns a number for
 * forward_cancel(). */
int64_t forward_call(struct forward *f, int64_t to, const struct call *call, int64_t timeout_ms,
                     forward_cb cb, void *arg);

/* Do not wait for the reply any longer: the call ends with ERR_UNKNOWN, later. Fine when it ended
 * already. */
void forward_cancel(struct forward *f, int64_t id);

/* A BUS_REPLY came from member @from. */
void forward_on_reply(struct forward *f, int64_t from, const void *data, size_t len);

/* The connection to member @id is gone: its calls end. */
void forward_on_down(struct forward *f, int64_t id);

#endif
