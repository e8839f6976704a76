/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull - fetch an image from its registry or a mirror (OCI distribution specification).
 */
#ifndef WHERRY_RUNTIME_FETCH_PULL_H
#define WHERRY_RUNTIME_FETCH_PULL_H

#include <stdint.h>

struct err;
struct settings;

/* Fetch what the runtime lacks of image @name (normalized), for the platform of @settings, into the
 * folder @ingest_fd and report blobs and image. At most @max_bytes in all. */
int pull_image(const struct settings *settings, const char *name, int ingest_fd, int64_t max_bytes,
               struct err *err);

#endif
