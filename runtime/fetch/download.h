/* SPDX-License-Identifier: Apache-2.0 */
/*
 * download - get one blob into the ingest folder and hand it over.
 *
 * What arrives is kept as HEX.part until the blob is whole: after a cut, or a kill of this process,
 * the next download goes on behind it. Several processes may download into one folder; a blob is
 * fetched by one of them, the others wait for it.
 */
#ifndef WHERRY_RUNTIME_FETCH_DOWNLOAD_H
#define WHERRY_RUNTIME_FETCH_DOWNLOAD_H

#include <stdatomic.h>

struct err;
struct image_blob;
struct meter;
struct registry;

/* Where blobs go, for all of one image. */
struct download_target {
    int ingest_fd;
    struct meter *meter;
    const atomic_bool *cancel; /* another blob failed: give up */
};

/* Get @blob over @registry, from one endpoint after the other, unless the runtime has it. */
int download_blob(const struct download_target *target, struct registry *registry,
                  const struct image_blob *blob, struct err *err);

#endif
