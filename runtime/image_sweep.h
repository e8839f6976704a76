/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_sweep - delete what no image needs. All with the content lock.
 */
#ifndef WHERRY_RUNTIME_IMAGE_SWEEP_H
#define WHERRY_RUNTIME_IMAGE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct image_flight_blob;
struct index_garbage;
struct runtime;

/* Make the folders of images and delete what earlier runs left: half-unpacked layers, half-read
 * archives, downloads and blobs that nobody came back for within days. */
int image_sweep(struct runtime *rt, struct err *err);

/* Delete, however young, what fetches left that failed: parts and blobs that a retry would go on
 * with. Nothing while one is under way. The bytes are added to *@bytes; @dry_run only counts. */
int image_sweep_leftovers(struct runtime *rt, bool dry_run, int64_t *bytes, struct err *err);

/* Delete what index_collect finds. Returns the bytes that gave. Troubles are logged: what stays is
 * swept at the next start. */
int64_t image_sweep_garbage(struct runtime *rt);

/* The bytes that deleting @garbage would give. */
int64_t image_sweep_bytes(struct runtime *rt, const struct index_garbage *garbage);

/* Delete those of @blobs, which fetches have counted on, that no manifest needs. */
void image_sweep_landed(struct runtime *rt, const struct image_flight_blob *blobs, size_t n);

#endif
