/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers - other machines that may have what this one is about to fetch, and what they may have of
 * this one.
 *
 * The runtime knows no cluster: whoever opened it answers. Where images come from, in order: what
 * is here, the peers, the registry (image_peers.c).
 */
#ifndef WHERRY_RUNTIME_PEERS_H
#define WHERRY_RUNTIME_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct runtime;

/* Progress of a blob that comes from peers: bytes so far, and of whom ("n2, n3", "" while one of
 * them is waited for). Return false to cancel. */
typedef bool (*peers_progress_cb)(void *arg, int64_t done, const char *from);

/* All functions are called from threads that may block, several at once. */
struct runtime_peers {
    /* We need blob @digest of @size bytes. True: a peer has it, or is getting it from the registry
     * at this moment: blob() will give it. False: it is for us to get it, and others may wait for
     * us. release() follows in any case. */
    bool (*want)(void *arg, const char *digest, int64_t size);

    /* Write the content of blob @digest to @fd, open for reading and writing, from whichever peers
     * have it. What is in @fd is an earlier try's and may be used. @size is its length, -1 when
     * unknown (then at most IMAGE_DOCUMENT_MAX). After 0 the content has the digest. Where @wanted,
     * which says that want() was called and true, a peer that is getting it is waited for while it
     * makes progress. ERR_NOTFOUND: no peer has it; where @wanted it is now for us to get it, as if
     * want() had said so. */
    int (*blob)(void *arg, const char *digest, int64_t size, bool wanted, int fd,
                peers_progress_cb progress, void *progress_arg, struct err *err);

    /* Blob @digest is here, or given up: want() is over. @ours: it was for us to get. */
    void (*release)(void *arg, const char *digest, bool ours);

    /* The digest that most peers' copies of @name (normalized) have. ERR_NOTFOUND. */
    int (*resolve)(void *arg, const char *name, char ret_digest[72], struct err *err);

    void *arg;
};

/* Ask @peers (copied) from now on, before a registry; once, right after runtime_open(). */
void runtime_on_peers(struct runtime *rt, const struct runtime_peers *peers);

/* --- what peers are given: any thread, blocking -------------------------------------------------
 */

/* The size of blob @digest ("sha256:HEX"), -1 when it is not here whole. */
int64_t image_blob_size(const struct runtime *rt, const char *digest);

/* How many bytes of it a fetch that is under way, or broke off, has; 0 for none. */
int64_t image_blob_part(const struct runtime *rt, const char *digest);

/* Append @len bytes of it from @offset to @out, fewer at its end. ERR_NOTFOUND. */
int image_blob_read(const struct runtime *rt, const char *digest, int64_t offset, size_t len,
                    struct buf *out, struct err *err);

/* What @name (normalized) stands for here, the digest of a manifest, and since when. ERR_NOTFOUND.
 */
int image_name_digest(struct runtime *rt, const char *name, char ret_digest[72],
                      int64_t *ret_created_ms, struct err *err);

#endif
