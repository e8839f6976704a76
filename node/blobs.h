/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blobs - images go from member to member.
 *
 *     a pull here       blobs_get.c: asks all members who has a blob (exchange.h), gets it in
 * pieces from several at once (blob_plan.h), checks the whole; or waits for the member that gets it
 * from the registry (blob_wants.h) a pull elsewhere  blobs.c: answers blob.have, blob.read and
 * image.name (blob_verbs.h). Files are read by jobs; pieces go out on the bulk connection
 *
 * Every member but a witness gives every blob it has to every member but a witness: they are of one
 * cluster and may all be told to run any of it.
 */
#ifndef WHERRY_NODE_BLOBS_H
#define WHERRY_NODE_BLOBS_H

#include "cluster/wire.h"

#include <stdbool.h>

struct blob_wants;
struct blobs;
struct daemon;
struct exchanges;
struct runtime_peers;

/* The answer to a call; @bulk: it is large. */
typedef void (*blobs_reply_cb)(void *arg, const struct reply *reply, bool bulk);

/* Begin, on the loop of the daemon. The runtime asks from now on. */
struct blobs *blobs_new(struct daemon *d);

/* What the runtime asks; for others too who ask it before there is a pull. Borrowed. */
const struct runtime_peers *blobs_peers(struct blobs *blobs);

/* This machine is a member now. NULL is fine. */
void blobs_on_member(struct blobs *blobs);

/* End, when no job runs any more and the daemon forwards no calls. NULL is fine. */
void blobs_free(struct blobs *blobs);

/* Member @from makes a call. False: the verb is another. */
bool blobs_on_call(struct daemon *d, int64_t from, const struct call *call, blobs_reply_cb cb,
                   void *arg);

/* --- for blobs_get.c: any thread ---------------------------------------------------------------
 */

struct exchanges *blobs_exchanges(struct blobs *blobs);
struct blob_wants *blobs_wants(struct blobs *blobs);

/* Our id; 0 before we are a member. */
int64_t blobs_self(struct blobs *blobs);

/* The answers to the runtime. */
void blobs_fill_peers(struct blobs *blobs, struct runtime_peers *ret);

#endif
