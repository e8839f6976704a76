/* SPDX-License-Identifier: Apache-2.0 */
/*
 * propose - get a change applied, wherever the leader is.
 *
 * The change gets a request id; it goes to the leader (us, or over the bus) and is tried again
 * while there is no leader, the leader moves or its answer is lost: a repeat with the same id is
 * answered, not done twice. The callback comes once this member has applied it too, so the caller
 * reads its own writes here; only when that takes until the deadline it comes before. After the
 * deadline it is ERR_UNKNOWN if any attempt may have got through, else ERR_UNAVAILABLE with why.
 *
 * What only a leader says (tasks, who is up) is its own to propose: it ends with ERR_NOTLEADER when
 * this member stops leading, for the next leader sees for itself.
 */
#ifndef WHERRY_NODE_PROPOSE_H
#define WHERRY_NODE_PROPOSE_H

#include "store/change.h"

struct call;
struct caller;
struct daemon;
struct propose;
struct reply;

enum {
    PROPOSE_TIMEOUT_MS = 15000,
};

/* The end: result->err.code 0 when it was done, the refusal or another error otherwise. Borrowed.
 */
typedef void (*propose_cb)(void *arg, const struct change_result *result);

/* Begin: everything happens on the loop of the daemon. */
struct propose *propose_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void propose_free(struct propose *p, void (*on_freed)(void *arg), void *arg);

/* Propose a change of @kind with @body (copied). @request_id may be NULL: one is drawn. */
void propose_change(struct propose *p, enum change_kind kind, const void *body,
                    const unsigned char *request_id, int64_t timeout_ms, propose_cb cb, void *arg);

/* As propose_change() on behalf of @caller (copied), whose right to it is looked at here, wherever
 * the leader is: what it may not do ends with ERR_DENIED or ERR_NOTFOUND (rights.h). */
void propose_change_for(struct propose *p, const struct caller *caller, enum change_kind kind,
                        const void *body, const unsigned char *request_id, int64_t timeout_ms,
                        propose_cb cb, void *arg);

/* As propose_change_for() for a request that may have been tried before, through another member
 * too:
 * @begin is the index that the state had before its first try, 0 when this is the first. What was
 * done once is answered, not done twice; ERR_UNKNOWN when that is not known any more. */
void propose_request(struct propose *p, const struct caller *caller, enum change_kind kind,
                     const void *body, const unsigned char *request_id, int64_t begin,
                     int64_t timeout_ms, propose_cb cb, void *arg);

/* A member forwarded a change to us as the leader (verb "member.propose"): check that it may, and
 * that the caller may whose token it shows, if it shows one, and propose it. @cb gets the reply,
 * which is borrowed. */
typedef void (*propose_reply_cb)(void *arg, const struct reply *reply);
void propose_on_call(struct propose *p, int64_t from, const struct call *call, propose_reply_cb cb,
                     void *arg);

/* The state moved: those who wait for it go on. */
void propose_on_apply(struct propose *p);

#endif
