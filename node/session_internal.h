/* SPDX-License-Identifier: Apache-2.0 */
/* session_internal - what session.c and session_start.c share. */
#ifndef WHERRY_NODE_SESSION_INTERNAL_H
#define WHERRY_NODE_SESSION_INTERNAL_H

#include "base/buf.h"
#include "base/err.h"
#include "node/session.h"

#include <stdbool.h>
#include <uv.h>

struct held {
    struct api_call *call; /* NULL: none waits */
    int64_t until_ms;
};

struct session {
    struct session *next;
    struct sessions *all;
    char id[80]; /* "CONTAINER/NAME" of an exec, "CONTAINER/+NAME" of one attached */
    char *owner; /* "" or the id of a token */
    bool exec;
    enum session_phase {
        SESSION_CONNECTING,
        SESSION_OPEN,
        SESSION_ENDED,
    } phase;
    int64_t run;
    int fd;
    uv_poll_t poll;
    bool polling; /* poll was made */
    bool welcome;
    uint8_t flags;
    uint64_t base;  /* the place of out's first byte */
    struct buf out; /* frames */
    uint64_t taken; /* input */
    bool may_send;  /* no input is under way */
    bool owes_ack;  /* the shim is to hear of base */
    bool blocked;   /* the socket was full */
    bool resized;   /* … and closed: of the call that writes */
    bool closed;
    bool end_wanted;
    bool has_code;
    int code;
    int64_t used_ms;
    struct held starter, reader, writer;
    struct session_write_request writing; /* of writer */
};

struct sessions {
    struct daemon *daemon;
    struct session *list;
    size_t n;
    uv_timer_t timer;
};

/* A session that connects; it is found from now on. */
struct session *session_new(struct sessions *all, const char *id, const char *owner);

/* The job is done: @fd, or -1 and @err. */
void session_on_connected(struct session *s, int fd, const struct err *err);

void session_free_memory(struct session *s);

#endif
