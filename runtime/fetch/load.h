/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - take the images out of an archive: an OCI layout or what "docker save" writes.
 */
#ifndef WHERRY_RUNTIME_FETCH_LOAD_H
#define WHERRY_RUNTIME_FETCH_LOAD_H

#include <stdint.h>

struct err;

/* Read the archive @fd (plain, gzip or zstd tar) into the folder @ingest_fd, and report the blobs
 * and images in it. An OCI layout's index.json is believed first, else Docker's manifest.json. */
int load_archive(int fd, int ingest_fd, int64_t max_bytes, struct err *err);

#endif
