/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blobs_get - what the files share that get blobs from other members.
 *
 *     blobs_get.c       who has a blob, who is getting it, is it for us to get
 *     blob_transfer.c   a blob from those that have it, in pieces, checked
 */
#ifndef WHERRY_NODE_BLOBS_GET_H
#define WHERRY_NODE_BLOBS_GET_H

#include "node/blob_plan.h"
#include "node/exchange.h"
#include "runtime/peers.h"

struct blobs;

/* A member that has a blob whole. */
struct blob_holder {
    int64_t id;
    int64_t size;
    char name[EXCHANGE_NAME_MAX];
};

/* Where a blob is. */
struct blob_search {
    const char *digest;
    int64_t size; /* -1: unknown */
    int64_t self;
    /* What the members said last. */
    struct blob_holder holders[BLOB_PEERS_MAX];
    size_t holders_n;
    int64_t fetchers[BLOB_PEERS_MAX]; /* that get it from the registry */
    size_t fetchers_n;
    int64_t fetched;    /* bytes that the farthest of them has */
    size_t claimants_n; /* that are about to, and are before us */
    /* Kept from one time to the next. */
    int64_t left_out[BLOB_PEERS_MAX]; /* as fetchers: they do not get on */
    size_t left_out_n;
    int64_t banned[BLOB_PEERS_MAX]; /* as holders: what they sent was wrong, or did not come */
    size_t banned_n;
};

/* Ask all members where @s->digest is; @claims: we are about to get it. */
void blob_search_ask(struct blobs *blobs, struct blob_search *s, bool claims);

/* A holder that is not asked for this blob any more. */
bool blob_search_is_banned(const struct blob_search *s, int64_t id);
void blob_search_ban(struct blob_search *s, int64_t id);

/* Write the blob to @fd from the holders of @s, and from who becomes one meanwhile. On failure @fd
 * holds the start of the blob or nothing, and holders that are of no use are banned. ERR_NOTFOUND:
 * it did not come whole. ERR_CORRUPT: what came is wrong. ERR_CANCELED. */
int blob_transfer(struct blobs *blobs, struct blob_search *s, int fd, peers_progress_cb progress,
                  void *progress_arg, struct err *err);

#endif
