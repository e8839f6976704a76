/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_internal - the two carriers of a client: client_unix.c and client_nng.c.
 *
 * An exchange sends one call and waits for its reply until @deadline_ms (clock_boot_ms). Errors:
 * ERR_UNAVAILABLE when the call was surely not sent, ERR_UNKNOWN when it may have been.
 */
#ifndef WHERRY_CLUSTER_CLIENT_INTERNAL_H
#define WHERRY_CLUSTER_CLIENT_INTERNAL_H

#include "base/buf.h"
#include "cluster/client.h"

struct client_unix;
struct client_nng;

enum {
    CONNECT_MS = 5000,
};

/* Connect to the socket at @path. */
int client_unix_open(const char *path, struct client_unix **ret, struct err *err);
void client_unix_close(struct client_unix *carrier);
/* @call is a record without a frame; so is what lands in @ret_reply. */
int client_unix_exchange(struct client_unix *carrier, const struct call *call, int64_t deadline_ms,
                         struct buf *ret_reply, struct err *err);

/* Connect to @address, whose CA must have @ca_hash. */
int client_nng_open(const char *address, const unsigned char ca_hash[32], struct client_nng **ret,
                    struct err *err);
void client_nng_close(struct client_nng *carrier);
int client_nng_exchange(struct client_nng *carrier, const struct call *call, int64_t deadline_ms,
                        struct buf *ret_reply, struct err *err);

/* Wait for @events on @fd. 0, or ERR_TIMEOUT at @deadline_ms. */
int client_wait(int fd, short events, int64_t deadline_ms);

#endif
