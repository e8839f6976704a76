/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_store - the content of images on disk: blobs and unpacked layers.
 *
 *     image_store_begin(rt, ...);      the content lock; leftovers of earlier runs are gone
 *     image_store_install(rt, ...);    manifest to unpacked layers to rows of the index
 *     image_store_end(rt);             what is garbage now is deleted
 *
 * Any thread; what needs the content lock says so.
 */
#ifndef WHERRY_RUNTIME_IMAGE_STORE_H
#define WHERRY_RUNTIME_IMAGE_STORE_H

#include "runtime/image.h"
#include "runtime/image_json.h"

struct buf;
struct index_image;
struct index_layer;

#define IMAGE_MAX_BYTES (64LL << 30) /* of one image, unpacked */

/* Whom to tell about progress. */
struct image_listener {
    const char *label; /* "nginx:1.2" */
    image_progress_cb progress;
    void *arg;
};

/* The row of @ref as image_lookup() takes it; the caller frees ret->name. *@ret_name: it is a name,
 * not a digest. */
int image_store_lookup(struct runtime *rt, const char *ref, struct index_image *ret, bool *ret_name,
                       struct err *err);

/* The path of a blob, which the caller frees. */
char *image_store_blob_path(const struct runtime *rt, const char *digest);

/* The path of the file in which a blob arrives, which the caller frees. Whoever writes to it locks
 * it (flock) and sees then that it still has its name. */
char *image_store_part_path(const struct runtime *rt, const char *digest);

/* The folder of the unpacked layer @number, which the caller frees. */
char *image_store_layer_path(const struct runtime *rt, int64_t number);

/* True when blob @digest is here with @size; a document's content is checked as well. */
bool image_store_have(const struct runtime *rt, const char *digest, int64_t size);

/* Append the content of the document @digest to @out and check it. ERR_CORRUPT when it is damaged:
 * it is then deleted, so that the next pull heals it. */
int image_store_read(const struct runtime *rt, const char *digest, struct buf *out,
                     struct err *err);

/* Make @file of the folder @ingest the blob @digest, synced. Its content is the helper's word; it
 * is checked when it is read or unpacked. */
int image_store_file(const struct runtime *rt, const char *ingest, const char *file,
                     const char *digest, int64_t size, struct err *err);

/* The disk of images: bytes in all, and free for us. Zeros when it cannot be asked. */
struct image_disk {
    int64_t bytes;
    int64_t free;
};
struct image_disk image_store_disk(const struct runtime *rt);

/* Bytes that images leave free on @disk: 64 MB, less on a small disk. */
int64_t image_store_reserve(const struct image_disk *disk);

/* Bytes that may still be written to the disk of images. */
int64_t image_store_room(const struct runtime *rt);

/* After a fetch that ended with @rv, for want of room or for its size: delete unused images. True
 * when that gave anything, so that trying again may help. Not between fetch_begin and fetch_end. */
bool image_made_room(struct runtime *rt, int rv);

/* Take the content lock. ERR_CANCELED when the listener says so meanwhile. */
int image_store_begin(struct runtime *rt, const struct image_listener *listener, struct err *err);

/* Delete what became garbage and give the lock back. */
void image_store_end(struct runtime *rt);

/* As end after begin, if nobody holds the lock; who holds it does it. */
void image_store_collect(struct runtime *rt);

/* Between these no blob is deleted that a fetch may have been told of. Without the lock. */
int image_store_fetch_begin(struct runtime *rt, const struct image_listener *listener,
                            struct err *err);
void image_store_fetch_end(struct runtime *rt);

/* Unpack what is missing of the manifest @digest, whose blobs are here, sync, and list it as @name
 * (NULL: under the names it has). @loaded: it came from an archive. With the lock. */
int image_store_install(struct runtime *rt, const char *digest, const char *name, bool loaded,
                        const struct image_listener *listener, struct err *err);

/* Unpack the layer @chain_id of the manifest @digest once more, to have its tree's digest and size;
 * what was unpacked is gone afterwards. With the lock. */
int image_store_unpack_again(struct runtime *rt, const char *digest, const char *chain_id,
                             const struct image_listener *listener, struct index_layer *ret,
                             struct err *err);

/* The chain id of a layer from that of the ones below ("" for none) and its diff_id:
 * ChainID(L0..Ln) = digest(ChainID(L0..Ln-1) + " " + DiffID(Ln)); the first is its DiffID
 * (config.md). */
void image_store_next_chain(char chain_id[IMAGE_DIGEST_SIZE], const char *diff_id);

/* What the layers of one image may still take; checked by the helper and again by what is there. */
struct image_room {
    int64_t bytes;
    int64_t entries;
};

/* Unpack one layer, in image_unpack.c, to the new folder @number, which stands on the folders
 * @lower (lowest first), and give its tree's digest and size. With the lock. On failure nothing is
 * left. */
int image_unpack_layer(struct runtime *rt, int64_t number, const struct image_blob *blob,
                       const char *diff_id, const int64_t *lower, size_t lower_n,
                       const struct image_room *room, const struct image_listener *listener,
                       struct index_layer *ret_layer, struct err *err);

#endif
