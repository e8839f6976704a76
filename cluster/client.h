/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - call a member from a command line. Blocking, one thread.
 *
 * The target is "unix:///run/wherry/wherry.sock" (libc sockets) or "ADDRESS:PORT" (nng REQ over
 * TLS, port 7401 if left out). For the latter the token's CA hash pins the cluster: the CA
 * certificate is taken from the server's own handshake, compared with the hash, and only then
 * trusted and anything sent. The certificate is checked for the name "wherry".
 */
#ifndef WHERRY_CLUSTER_CLIENT_H
#define WHERRY_CLUSTER_CLIENT_H

#include "cluster/wire.h"

struct client;
struct record_type;

/* Connect. @token may be NULL for a socket. ERR_UNAVAILABLE says what to do: "no daemon listens on
 * /run/wherry/wherry.sock; start one with 'wherry node', or name another with -H". */
int client_open(const char *target, const char *token, struct client **ret_client, struct err *err);

/* From now on reads may be answered from the member's own copy of the state as it is (@stale), not
 * only after it made sure with the leader that it has everything. */
void client_set_stale(struct client *client, bool stale);

/* What the last reply said of where the members are (wire_addresses_sum()); 0: nothing. */
int64_t client_members(const struct client *client);

/* Close and free. NULL is fine. */
void client_close(struct client *client);

/* Call @verb with @request of @request_type and wait at most @timeout_ms for the reply, decoded
 * into @ret_reply (uninitialized) of @reply_type. An error of the member comes back as @err. A
 * request id is made, so that the call may be retried: ERR_UNKNOWN says the outcome is not known.
 */
int client_call(struct client *client, const char *verb, const struct record_type *request_type,
                const void *request, const struct record_type *reply_type, void *ret_reply,
                int64_t timeout_ms, struct err *err);

/* A request that may be called again, also through another member, when the outcome was
 * ERR_UNKNOWN: what was done is not done twice. The id is drawn by the caller; @begin is the index
 * of the state before the first call (client_index()), so that a member can tell whether it would
 * still know the id. 0: it cannot. */
struct client_request {
    unsigned char id[16];
    int64_t begin;
};

/* As client_call() for such a request. */
int client_call_as(struct client *client, const struct client_request *request, const char *verb,
                   const struct record_type *request_type, const void *body,
                   const struct record_type *reply_type, void *ret_reply, int64_t timeout_ms,
                   struct err *err);

/* The index of the state in the newest reply, 0: none yet. */
int64_t client_index(const struct client *client);

#endif
