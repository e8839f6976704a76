/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_peers - where the blobs of one pull come from: this machine, its peers, the registry.
 *
 *     image_supply_init(&supply, rt, &listener);
 *     image_supply_have(&supply, digest, size)     for each blob: true, and the registry is not
 *                                                  asked for it
 *     image_supply_fetch(&supply, &err);           gets from peers what they have
 *     image_supply_missing(&supply)                what is the registry's to give all the same
 *     image_supply_release(&supply);
 *
 * Without peers (runtime_on_peers) all that is not here is the registry's. One thread; between
 * image_store_fetch_begin() and _end().
 */
#ifndef WHERRY_RUNTIME_IMAGE_PEERS_H
#define WHERRY_RUNTIME_IMAGE_PEERS_H

#include "runtime/image_store.h"

struct image_platform;

enum supply_source {
    SUPPLY_HERE,
    SUPPLY_PEERS,
    SUPPLY_REGISTRY,
};

struct supply_blob {
    struct image_blob blob;
    enum supply_source source;
    bool wanted; /* peers were told, and will be told when it is over */
    bool ours;   /* … and wait for us */
};

struct image_supply {
    struct runtime *rt;
    const struct image_listener *listener;
    struct supply_blob *blobs;
    size_t n;
    int64_t total; /* bytes of all blobs */
    int64_t done;  /* … that are here */
};

void image_supply_init(struct image_supply *s, struct runtime *rt,
                       const struct image_listener *listener);

/* Give up what is still wanted and free what @s holds. */
void image_supply_release(struct image_supply *s);

/* The pull needs a blob. True: it is here, or peers will give it. False: fetch it. */
bool image_supply_have(struct image_supply *s, const char *digest, int64_t size);

/* The registry's blob @digest is filed. */
void image_supply_filed(struct image_supply *s, const char *digest);

/* Get what peers have. What none of them has after all is the registry's now. Where @last, no
 * registry will be asked: nobody is waited for. */
int image_supply_fetch(struct image_supply *s, bool last, struct err *err);

/* How many blobs are the registry's to give. */
size_t image_supply_missing(const struct image_supply *s);

/* Find the manifest for @platform that the document @digest is or leads to, from what is here and
 * what peers have, and note the blobs it needs. ERR_NOTFOUND. */
int image_supply_manifest(struct image_supply *s, const char *digest,
                          const struct image_platform *platform,
                          char ret_manifest[IMAGE_DIGEST_SIZE], struct err *err);

/* What peers say that @name (normalized) stands for. ERR_NOTFOUND. */
int image_supply_resolve(struct image_supply *s, const char *name,
                         char ret_digest[IMAGE_DIGEST_SIZE], struct err *err);

#endif
