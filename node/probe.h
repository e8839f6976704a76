/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - ask a task over the network whether it is well, with no tool in its image.
 *
 * The socket is made inside the task's own network namespace and connects to the task's own
 * address, so that networks, host network and none are all the same, and no other machine is
 * reached. What answers is hostile until checked: time, bytes and frames are bounded, redirects are
 * not followed.
 */
#ifndef WHERRY_NODE_PROBE_H
#define WHERRY_NODE_PROBE_H

#include "store/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

struct probe {
    enum probe_kind kind; /* not PROBE_COMMAND */
    char *netns;          /* path of the namespace; NULL: the one we are in */
    char *address;        /* numeric, of IPv4 */
    int64_t port;
    char *path;    /* HTTP; "": "/" */
    char *host;    /* HTTP; "": the address */
    char *service; /* gRPC; "": the server as a whole */
};

/* Probe within @timeout_ms. 0: it is well; else ERR_FAILED, ERR_TIMEOUT or ERR_UNAVAILABLE, and
 * @err says what it answered. Blocks; from any thread. */
int probe_run(const struct probe *probe, int64_t timeout_ms, struct err *err);

/* Free what @probe holds and zero it. */
void probe_release(struct probe *probe);

/* The status of the head of an HTTP/1 answer, @len bytes that begin it. Returns 0 while the first
 * line is not whole, -1 when it is none of HTTP. */
int probe_http_status(const char *head, size_t len);

/* --- probe_grpc.c ---------------------------------------------------------------------------- */

/* What a server's frames of HTTP/2 (RFC 9113) said so far of one call of
 * grpc.health.v1.Health/Check. */
struct grpc_answer {
    unsigned char buffered[16384 + 9]; /* of a frame that is not whole yet */
    size_t buffered_n;
    unsigned char message[512]; /* of the response, as far as it is there */
    size_t message_n;
    unsigned frames; /* so far */
    bool ack_settings;
    bool ack_ping;
    unsigned char ping[8];
    bool over; /* the stream ended */
};

/* Append the bytes that ask for the health of @service: preface, settings, one call. @host is the
 * authority. */
void grpc_request(const char *host, const char *service, struct buf *out);

/* Take in @len bytes from the server. Returns 1 when it says that it serves, 0: there is more to
 * come, else a negative error: @err says why it is not well. What is to be acknowledged is noted.
 */
int grpc_take(struct grpc_answer *answer, const void *data, size_t len, struct err *err);

#endif
