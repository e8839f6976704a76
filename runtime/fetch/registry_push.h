/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_push - put blobs and manifests into a repository (OCI distribution specification 1.1,
 * "Push"). Always at the registry itself, never at a mirror.
 */
#ifndef WHERRY_RUNTIME_FETCH_REGISTRY_PUSH_H
#define WHERRY_RUNTIME_FETCH_REGISTRY_PUSH_H

#include "runtime/fetch/http.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct image_blob;
struct registry;

/* Ask whether the repository has the blob @digest (end-2 with HEAD). */
int registry_has_blob(struct registry *registry, const char *digest, bool *ret_has,
                      struct err *err);

/* Open an upload (end-4a). With @mount_from the registry may take the blob from that repository
 * instead (end-11): *@ret_mounted. Else *@ret_location, which the caller frees, is where to put
 * it. */
int registry_begin_upload(struct registry *registry, const struct image_blob *blob,
                          const char *mount_from, bool *ret_mounted, char **ret_location,
                          struct err *err);

/* Put the blob, the whole of @fd, to the location of an upload (end-6). @sent is told how far it
 * is. What failed half-way is begun anew, with another upload. */
int registry_put_blob(struct registry *registry, const char *location,
                      const struct image_blob *blob, int fd, http_sent_cb sent, void *arg,
                      const atomic_bool *cancel, struct err *err);

/* Put the manifest of @digest, these very bytes, as @version: a tag or the digest (end-7). */
int registry_put_manifest(struct registry *registry, const char *version, const char *type,
                          const char *data, size_t len, const char *digest, struct err *err);

#endif
