/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs - the certificates of members: made, renewed, and of the CA of now.
 *
 * A member that holds the cluster key opens the CA's key for the moment of signing and certifies
 * itself and those who join through it. One that does not (a witness, a locked member) asks another
 * over the bus (member.certify), where its key is the one pinned for it: it gets a certificate for
 * that key and its own number, and for nothing else.
 *
 * A new one is asked for when two thirds of the old one's time are over, or more than that (a
 * member that was off; the bus looks at no dates), and when the CA is being changed or has been. It
 * is shown from the next connection on. Loop thread.
 */
#ifndef WHERRY_NODE_CERTS_H
#define WHERRY_NODE_CERTS_H

#include "cluster/wire.h"

struct certs;
struct daemon;
struct err;

/* Begin: everything happens on the loop of the daemon. */
struct certs *certs_new(struct daemon *d);

/* End; @on_freed comes when nothing of it is on the loop any more and its memory is gone. */
void certs_free(struct certs *certs, void (*on_freed)(void *arg), void *arg);

/* The cluster's row changed, or we start. */
void certs_on_change(struct certs *certs);

/* ERR_UNAVAILABLE when this member can make no certificates now: why, and what to do. */
int certs_check(struct daemon *d, struct err *err);

/* Certify @public_key as that of node @node_id. ERR_UNAVAILABLE as certs_check(). The caller frees
 * the chain. */
int certs_sign(struct daemon *d, int64_t node_id, const struct bytes *public_key, char **ret_chain,
               struct err *err);

/* Member @from calls member.certify. False: the verb is another. */
bool certs_on_call(struct certs *certs, int64_t from, const struct call *call,
                   void (*cb)(void *arg, const struct reply *reply), void *arg);

/* A change of the CA, or its end, has one owner at a time only by the revision of the keys. */
typedef void (*certs_cb)(void *arg, const struct err *err);

/* Make a new CA and have it take over. On an error @cb is not called. */
int certs_rotate_ca(struct daemon *d, certs_cb cb, void *arg, struct err *err);

/* Forget the CA before. On an error @cb is not called. */
int certs_finish_ca(struct daemon *d, certs_cb cb, void *arg, struct err *err);

#endif
