/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry - an image's repository, on its registry and the mirrors of it (OCI distribution
 * specification 1.1).
 *
 *     registries_new(&settings, &ref, "pull", &set);   once: who authorizes how
 *     registry_new(set, &registry, &err);              in each thread
 *     for (at = 0; at < registry_count(registry); at++)  mirrors first, in order
 *         registry_get_manifest(registry, at, ...);
 */
#ifndef WHERRY_RUNTIME_FETCH_REGISTRY_H
#define WHERRY_RUNTIME_FETCH_REGISTRY_H

#include "runtime/fetch/http.h"
#include "runtime/image_name.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct registries;
struct registry;
struct settings;

/* What the threads share. @actions are those of the token's scope: "pull" or "pull,push", the
 * latter with "pull" for the repositories that @settings mount from; NULL asks for none. @settings
 * and @ref are borrowed. Never NULL. */
struct registries *registries_new(const struct settings *settings, const struct image_ref *ref,
                                  const char *actions);

/* Free, after the last client. NULL is fine. */
void registries_free(struct registries *set);

/* A client, for one thread at a time. */
int registry_new(struct registries *set, struct registry **ret, struct err *err);

/* Free. NULL is fine. */
void registry_free(struct registry *registry);

/* How many endpoints there are: mirrors, and last the registry itself. */
size_t registry_count(const struct registry *registry);

/* The host of endpoint @at, for people. Borrowed. */
const char *registry_host(const struct registry *registry, size_t at);

/* True when @at is a mirror that could not be reached before: not worth waiting for again. */
bool registry_is_dead(const struct registry *registry, size_t at);

/* Ask endpoint @at whether it lets us in (end-1). */
int registry_ping(struct registry *registry, size_t at, struct err *err);

/* Put the manifest or index @version (a tag or digest) into @out, emptied first, at most
 * IMAGE_DOCUMENT_MAX (end-3). ERR_NOTFOUND, ERR_DENIED; ERR_UNAVAILABLE and ERR_TIMEOUT may pass.
 */
int registry_get_manifest(struct registry *registry, size_t at, const char *version,
                          struct buf *out, struct err *err);

/* The digest that @version has by the registry's word (end-3 with HEAD); "" when it says none. */
int registry_head_manifest(struct registry *registry, size_t at, const char *version,
                           char ret_digest[IMAGE_DIGEST_SIZE], struct err *err);

/* Get the blob @digest from byte @offset on (end-2). ERR_CONFLICT when the registry cannot start
 * there. Ends with ERR_CANCELED when @cancel (may be NULL) is set. */
int registry_get_blob(struct registry *registry, size_t at, const char *digest, int64_t offset,
                      http_sink_cb sink, void *arg, const atomic_bool *cancel, struct err *err);

/* Seconds that the last answer asked to wait before another try; 0 when it did not. */
int64_t registry_retry_after_s(const struct registry *registry);

#endif
