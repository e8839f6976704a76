/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry - one registry, spoken to over HTTP.
 */
#ifndef WHERRY_RUNTIME_FETCH_REGISTRY_H
#define WHERRY_RUNTIME_FETCH_REGISTRY_H

#include "runtime/image_name.h"

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct registry;

/* Takes bytes of a blob. Return negative, with @err set, to stop. */
typedef int (*registry_sink_cb)(void *arg, const void *data, size_t len, struct err *err);

/* A client for @ref's registry, for one thread at a time. @ref is borrowed. */
int registry_new(const struct image_ref *ref, struct registry **ret, struct err *err);

/* Free. NULL is fine. */
void registry_free(struct registry *registry);

/* Append the manifest or index @version (a tag or digest) to @out, at most IMAGE_DOCUMENT_MAX. */
int registry_get_manifest(struct registry *registry, const char *version, struct buf *out,
                          struct err *err);

/* Get the blob @digest from byte @offset on. ERR_CONFLICT when the registry cannot start there. */
int registry_get_blob(struct registry *registry, const char *digest, int64_t offset,
                      registry_sink_cb sink, void *arg, struct err *err);

#endif
