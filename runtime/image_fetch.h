/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_fetch - have wherry-image fetch images, from archives (image_fetch.c) and from registries
 * (image_pull.c). Not for other rooms.
 */
#ifndef WHERRY_RUNTIME_IMAGE_FETCH_H
#define WHERRY_RUNTIME_IMAGE_FETCH_H

#include "runtime/image_name.h"
#include "runtime/image_store.h"

struct image_platform;
struct image_supply;

/* A manifest that the helper named. */
struct image_fetched {
    char digest[IMAGE_DIGEST_SIZE];
    char *name; /* as the archive has it, or NULL */
};

/* A fetch under way. */
struct image_fetch {
    struct runtime *rt;
    const char *ingest;           /* the folder it writes to */
    struct image_supply *supply;  /* of a pull: where blobs come from (image_peers.h); else NULL */
    struct image_fetched *images; /* what it named */
    size_t n;
};

/* Free what @f got, and begin anew. */
void image_fetch_release(struct image_fetch *f);

/* Run the helper with @mode, the ingest folder, the room on the disk and @last (may be NULL). What
 * it asks is answered, what it hands over is filed and noted in @f. */
int image_fetch_run(struct image_fetch *f, const char *mode, const char *last, int input_fd,
                    const struct image_listener *listener, struct err *err);

/* Unpack and list the manifest @digest, whose blobs are here. @platform, which it must be for, is
 * NULL for what came from an archive. */
int image_fetch_install(struct runtime *rt, const char *digest, const char *name,
                        const struct image_platform *platform,
                        const struct image_listener *listener, struct err *err);

#endif
