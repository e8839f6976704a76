/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_internal - what the files of the server share.
 *
 *     server.c        calls and replies, starting and stopping
 *     server_local.c  the local socket
 *     server_remote.c remote callers
 *
 * A call is in server->calls from server_dispatch() until server_reply(). Its origin is a local
 * connection or a remote slot; when that goes away first, the call stays and its reply goes
 * nowhere.
 */
#ifndef WHERRY_CLUSTER_SERVER_INTERNAL_H
#define WHERRY_CLUSTER_SERVER_INTERNAL_H

#include "cluster/server.h"

#include "base/buf.h"

#include <uv.h>

enum {
    LOCAL_MAX = 64,                /* connections on the socket */
    LOCAL_CALLS_MAX = 16,          /* calls of one connection that wait for a reply */
    REMOTE_CALLERS_MAX = 256,      /* connections from other machines */
    REMOTE_SOURCE_MAX = 128,       /* of these from one machine */
    REMOTE_CALLS_MAX = 256,        /* their calls that wait for a reply */
    REMOTE_WAITING_MAX = 32 << 20, /* bytes of their incomplete messages */
    REMOTE_UNREAD_MAX = 64 << 20,  /* bytes of replies that they have not read */
};

struct local;
struct remote;
struct remote_slot;

struct server_call {
    struct server_call *next, *prev;
    struct server *server; /* NULL: it has stopped */
    int64_t id;            /* the caller's */
    struct local *local;   /* whence it came; both NULL: the caller is gone */
    struct remote_slot *slot;
};

struct server {
    struct server_config config;
    uv_pipe_t listener;
    struct local *locals;
    size_t locals_n;
    struct server_call *calls;
    struct remote *remote; /* NULL: not listening */
    ino_t inode;           /* of the socket we made */
    int handles;
    bool stopping;
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

/* --- server.c --- */

/* Decode @len bytes that came over @local or @slot and pass them on as a call. What is wrong with
 * them is answered. The number of calls that wait for @local is its own affair. False: the message
 * was damaged. */
bool server_dispatch(struct server *server, struct local *local, struct remote_slot *slot,
                     const void *data, size_t len);
/* The origin of @call is gone. */
void server_call_gone(struct server_call *call);
/* One handle less on the loop. */
void server_handle_closed(struct server *server);

/* --- server_local.c --- */

/* Bind and listen. */
int local_listen(struct server *server, struct err *err);
/* Close the socket and all connections. */
void local_stop(struct server *server);
/* Send @reply to one of the calls that wait for it. */
void local_reply(struct local *local, const struct reply *reply);
/* Close the connection. */
void local_hang_up(struct local *local);

/* --- server_remote.c --- */

/* Stop listening and close all connections. */
void remote_stop(struct remote *remote);
/* Send @reply to the caller and free @slot. */
void remote_reply(struct remote_slot *slot, const struct reply *reply);
/* See server.h. */
const char *remote_source(const struct remote_slot *slot);
void remote_hang_up(struct remote_slot *slot);
void remote_tag(struct remote_slot *slot, int64_t tag);
void remote_end_if(struct remote *remote, bool (*is_over)(void *arg, int64_t tag), void *arg);

#endif
