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

/* Whom to tell about progress. */
struct image_listener {
    const char *label; /* "nginx:1.2" */
    image_progress_cb progress;
    void *arg;
};

/* The path of a blob, which the caller frees. */
char *image_store_blob_path(const struct runtime *rt, const char *digest);

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

/* Bytes that may still be written to the disk of images. */
int64_t image_store_room(const struct runtime *rt);

/* Take the content lock. ERR_CANCELED when the listener says so meanwhile. */
int image_store_begin(struct runtime *rt, const struct image_listener *listener, struct err *err);

/* Delete what became garbage and give the lock back. */
void image_store_end(struct runtime *rt);

/* As end after begin, if nobody holds the lock; who holds it will do it. */
void image_store_collect(struct runtime *rt);

/* Between these no blob is deleted that a fetch may have been told of. Without the lock. */
int image_store_fetch_begin(struct runtime *rt, const struct image_listener *listener,
                            struct err *err);
void image_store_fetch_end(struct runtime *rt);

/* Unpack what is missing of the manifest @digest, whose blobs are here, sync, and list it as @name.
 * With the lock. */
int image_store_install(struct runtime *rt, const char *digest, const char *name,
                        const struct image_listener *listener, struct err *err);

/* Unpack one layer, in image_unpack.c, to the new folder @number, which stands on the folders
 * @lower (lowest first). With the lock. On failure nothing is left. */
int image_unpack_layer(struct runtime *rt, int64_t number, const struct image_blob *blob,
                       const char *diff_id, const int64_t *lower, size_t lower_n,
                       const struct image_listener *listener, struct err *err);

#endif
