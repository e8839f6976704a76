/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - where calls come in: the local socket (libuv pipe) and, for remote command lines, nng's
 * request/reply protocol over TLS.
 *
 * Both hand a decoded call to one function and send its reply when it is ready. What comes in is
 * capped (WIRE_MESSAGE_MAX, 64 connections on the socket, 256 from elsewhere), a damaged message
 * gets an error or a closed connection. Everything happens on the loop.
 */
#ifndef WHERRY_CLUSTER_SERVER_H
#define WHERRY_CLUSTER_SERVER_H

#include "cluster/wire.h"

struct identity;
struct server;
struct server_call; /* one call that waits for its reply */
struct uv_loop_s;

struct server_config {
    struct uv_loop_s *loop;
    const char *socket_path; /* mode 0660, root and the group "wherry" where there is one */
    /* A call. @local: over the socket, whose owner and group are the check. @call is borrowed for
     * the time of the function. server_reply() must come exactly once, now or later. */
    void (*on_call)(void *arg, struct server_call *handle, const struct call *call, bool local);
    /* The caller of @handle hung up; server_reply() must still come. May be NULL. */
    void (*on_gone)(void *arg, struct server_call *handle);
    void *arg;
};

/* Listen on the local socket (a stale one of a dead daemon is replaced; ERR_BUSY for a live one).
 */
int server_start(const struct server_config *config, struct server **ret_server, struct err *err);

/* Listen on tls+tcp://@listen ("10.0.0.1:7401") with the identity's certificate, whichever it has
 * at the time of a connection. Once a member. @identity must outlive the server. */
int server_listen_remote(struct server *server, const char *listen, const struct identity *identity,
                         struct err *err);

/* Send the reply (copied) and free @handle. Fine when the caller is gone. */
void server_reply(struct server_call *handle, const struct reply *reply);

/* The address of the machine that the call came from, without a port; "" for the local socket and
 * for a caller that hung up. Borrowed for as long as @handle lives. */
const char *server_source(const struct server_call *handle);

/* Close the connection of the caller without a reply, and free @handle. */
void server_hang_up(struct server_call *handle);

/* Put a number other than 0 on the connection of a remote caller: who he has shown to be. */
void server_tag(struct server_call *handle, int64_t tag);

/* Close the connections whose number @is_over says so of, once what was replied on them is sent. */
void server_end_if(struct server *server, bool (*is_over)(void *arg, int64_t tag), void *arg);

/* Close all; @on_stopped comes when nothing is left on the loop, then @server is freed. Calls that
 * still wait may be replied to until then. */
void server_stop(struct server *server, void (*on_stopped)(void *arg), void *arg);

#endif
