/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document - the manifest that a name stands for, by way of an index if there is one.
 */
#ifndef WHERRY_RUNTIME_FETCH_DOCUMENT_H
#define WHERRY_RUNTIME_FETCH_DOCUMENT_H

#include "runtime/image_name.h"

struct buf;
struct err;
struct image_platform;
struct registry;

enum {
    DOCUMENT_ATTEMPTS_MAX = 3,
    DOCUMENT_DEPTH_MAX = 2, /* indexes on the way to a manifest */
};

/* Get the manifest or index @version from the first endpoint that has it, and its digest. With
 * @promised set it must have that. When all fail the error is the registry's own, with that of a
 * mirror added. */
int document_get(struct registry *registry, const char *version, const char *promised,
                 struct buf *ret_content, char ret_digest[IMAGE_DIGEST_SIZE], struct err *err);

/* An index on the way to a manifest, with its digest. A negative code ends the way. */
typedef int (*document_index_cb)(void *arg, const struct buf *content, const char *digest,
                                 struct err *err);

/* Get the manifest of @ref for @platform; @on_index hears of each index before it. ERR_UNSUPPORTED
 * when an index has none. */
int document_get_manifest(struct registry *registry, const struct image_ref *ref,
                          const struct image_platform *platform, document_index_cb on_index,
                          void *arg, struct buf *ret_content, char ret_digest[IMAGE_DIGEST_SIZE],
                          struct err *err);

/* Ask what @version stands for now: by the registry's word, or by reading it when it says nothing.
 */
int document_resolve(struct registry *registry, const char *version,
                     char ret_digest[IMAGE_DIGEST_SIZE], struct err *err);

/* Put the failure of a mirror, @why, behind that of the registry in @err. */
void document_add_mirror(struct err *err, const struct err *why);

#endif
