/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys - the cluster key on this member: held, handed out, locked away.
 *
 * The replicated state says which cluster key is in use (struct cluster_keys); the key itself is
 * held by the members that are no witnesses (cluster/keyring.h) and goes from one to the other over
 * the bus only, never through the log:
 *
 *     joining       with the welcome, over the verified connection
 *     missing it    a member asks the others, once a second (member.key); not while it is locked
 *     changing it   the new one is handed to all that are up (member.hold) before the change that
 *                   puts it into use is proposed; keychange.h
 *
 * Locked: nobody has the key on disk. A member that starts again has none until keys_unlock() opens
 * the copy in the state with the unlock key; it votes and runs its tasks all the same.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_KEYS_H
#define WHERRY_NODE_KEYS_H

#include "cluster/seal.h"
#include "cluster/wire.h"
#include "store/model.h"

struct daemon;
struct keys;

/* What the others are asked. Records on the bus. */
struct key_offer {
    int64_t generation;
    struct bytes key;
    bool durable; /* of an offer: keep it in the file too */
};
extern const struct record_type key_offer_type;

/* What they answer to an offer. */
struct key_receipt {
    bool held;
};
extern const struct record_type key_receipt_type;

typedef void (*keys_reply_cb)(void *arg, const struct reply *reply);

/* Begin: everything happens on the loop of the daemon. */
struct keys *keys_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void keys_free(struct keys *keys, void (*on_freed)(void *arg), void *arg);

/* Found a cluster: make its key, durably, and seal the CA's key by it. After a crash the same is
 * given again, until keys_founded(). Release with record_release(&cluster_keys_type). */
int keys_found(struct daemon *d, struct cluster_keys *ret_keys, struct err *err);

/* The founding is over. */
void keys_founded(struct daemon *d);

/* The cluster's row changed, or we start. */
void keys_on_change(struct keys *keys);

/* The key in use. Borrowed. ERR_UNAVAILABLE says why there is none here and what to do. */
int keys_current(struct keys *keys, const struct seal_key **ret_key, struct err *err);

/* "held", "locked", "missing", "witness" or "none" (the cluster has no key yet). */
const char *keys_state(struct keys *keys);

/* "off", "on", or "locked": on, and this member has not been opened. */
const char *keys_lock(struct keys *keys);

/* True for a member that is to hold the key. */
static inline bool keys_are_for(const struct node *node)
{
    return !node->witness;
}

/* Open the key in the state with the unlock key @text. ERR_DENIED: it is the wrong one; then
 * ERR_BUSY for a second. Fine when nothing is locked here. */
int keys_unlock(struct keys *keys, const char *text, struct err *err);

/* Open the CA's private key, in PEM, of @cluster. Append it to @out, which the caller wipes. */
int keys_open_ca(struct keys *keys, const struct cluster *cluster, struct buf *out,
                 struct err *err);

/* Member @from calls member.key or member.hold. False: the verb is another. */
bool keys_on_call(struct keys *keys, int64_t from, const struct call *call, keys_reply_cb cb,
                  void *arg);

#endif
