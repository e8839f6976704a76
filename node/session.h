/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - what this member keeps of a command in a container, or of somebody attached to one,
 * between two calls: the connection to its shim, and the output its caller has not got yet.
 *
 *     CONNECTING ──(job: exec_start, exec_attach, container_attach)──► OPEN ──► ENDED
 *          │ on_connected(), WELCOME                                   on_exited(), on_gone()
 *          └── FAILED: calls are answered with the reason, and it is gone
 *
 * A session of an exec holds nothing that is not in its shim as well: another process of this
 * member makes it anew (session_adopt) when a call asks for it. At most one call reads and one
 * writes at a time; a further one takes the place of the one before, which is answered with what is
 * there. What arrives is told at once: nothing polls. A session that nobody asked about for
 * SESSION_IDLE_MS ends, and the command of an exec with it.
 *
 * Loop thread; jobs of its own for what may block.
 */
#ifndef WHERRY_NODE_SESSION_H
#define WHERRY_NODE_SESSION_H

#include "cluster/api_exec.h"

struct api_call;
struct daemon;
struct session;
struct sessions;

enum {
    SESSION_IDLE_MS = 60000,
    SESSIONS_MAX = 256,        /* on this member */
    SESSIONS_EACH_MAX = 64,    /* of one token */
    SESSION_BYTES = 256 << 10, /* output that waits for one caller */
};

/* Begin: everything happens on the loop of the daemon. */
struct sessions *sessions_new(struct daemon *d);

/* Answer all calls that wait: this member stops. Before the jobs are stopped. */
void sessions_stop(struct sessions *all);

/* End, when no job runs any more; commands run on. */
void sessions_free(struct sessions *all);

/* The session of that id, NULL: there is none. */
struct session *session_find(struct sessions *all, const char *id);

/* True when it is the caller's of @c, or @c may do everything. */
bool session_is_of(const struct session *s, const struct api_call *c);

/* Start @request in @container on behalf of @c, which is answered. */
void session_exec(struct sessions *all, struct api_call *c, const char *container,
                  const struct exec_request *request);

/* Attach to @container on behalf of @c, which is answered. */
void session_attach(struct sessions *all, struct api_call *c, const char *container,
                    const struct attach_request *request);

/* A session for the exec of that id whose session an earlier process of ours had; @place as in the
 * call that asks for it. NULL: @id is not an exec's, or there are too many sessions. */
struct session *session_adopt(struct sessions *all, const struct api_call *c, const char *id,
                              int64_t place);

/* Answer @c from @s, now or later. */
void session_read(struct session *s, struct api_call *c, const struct session_read_request *r);
void session_write(struct session *s, struct api_call *c, const struct session_write_request *r);
void session_end(struct session *s, struct api_call *c);

#endif
