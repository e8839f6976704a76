/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - one call and one reply: the envelope behind every carrier.
 *
 * Every call is a request and a reply, both one msgpack record. On the local socket each is framed
 * by a u32 little-endian length; over nng and the bus the carrier frames. To follow something the
 * caller asks again with a cursor.
 */
#ifndef WHERRY_CLUSTER_WIRE_H
#define WHERRY_CLUSTER_WIRE_H

#include "store/record.h"

struct buf;
struct err;

enum {
    WIRE_HEADER = 4,            /* of a frame on the local socket */
    WIRE_MESSAGE_MAX = 4 << 20, /* envelope included */
    WIRE_VERSION = 1,
};

struct call {
    int64_t version;
    int64_t id;              /* the caller's; comes back in the reply */
    char *verb;              /* "stack.deploy" */
    char *token;             /* who calls; empty on the local socket */
    bool forwarded;          /* by another member: not to be forwarded to a further one */
    bool stale;              /* a read may be answered from the member's own copy as it is */
    struct bytes request_id; /* 16 bytes: a retry with the same one is not done twice */
    int64_t begin;           /* with it: index of the state before its first try; 0: this is it */
    struct bytes body;       /* the verb's request record */
};

struct reply {
    int64_t id;
    int64_t code;    /* 0 or the wire number of an error, base/err.h */
    char *message;   /* with an error */
    int64_t index;   /* state index at which it was answered */
    int64_t members; /* wire_addresses_sum() of where the members take calls; 0: not said */
    struct bytes body;
};

extern const struct record_type call_type, reply_type;

/* Append @record as one frame of the local socket. Returns the length of the message in it, which
 * may be more than WIRE_MESSAGE_MAX. */
size_t wire_put_frame(const struct record_type *type, const void *record, struct buf *out);

/* The length in the first WIRE_HEADER bytes of a frame. */
size_t wire_frame_len(const void *header);

/* A number that tells whether two sets of addresses are the same, in whatever order. */
int64_t wire_addresses_sum(char *const *addresses, size_t n);

/* Set @reply to an error. */
void reply_set_err(struct reply *reply, const struct err *err);

/* The error a reply holds: 0 and *err untouched when it holds none. */
int reply_get_err(const struct reply *reply, struct err *err);

#endif
