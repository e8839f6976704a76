/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull - fetch an image from its registry (OCI distribution specification) over plain HTTP.
 */
#ifndef WHERRY_RUNTIME_FETCH_PULL_H
#define WHERRY_RUNTIME_FETCH_PULL_H

#include <stdint.h>

struct err;

/* Fetch what the runtime lacks of image @name (normalized) into the folder @ingest_fd and report
 * blobs and image. Partial downloads stay there as HEX.part and are resumed; several processes may
 * pull into the same folder. */
int pull_image(const char *name, int ingest_fd, int64_t max_bytes, struct err *err);

#endif
