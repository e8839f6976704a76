/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest - a file of the ingest folder that becomes a blob.
 *
 *     ingest_open(dir_fd, "x.part", &ingest, &err);   what is there is kept and hashed again
 *     ingest_write(&ingest, data, len, &err);
 *     ingest_close(&ingest, digest);
 */
#ifndef WHERRY_RUNTIME_FETCH_INGEST_H
#define WHERRY_RUNTIME_FETCH_INGEST_H

#include "runtime/image_name.h"

#include <stddef.h>
#include <stdint.h>

struct buf;
struct digest;
struct err;

struct ingest {
    int fd;
    struct digest *hash;
    int64_t size; /* so far */
};

/* Open or make @name in @dir_fd and hash what it has. */
int ingest_open(int dir_fd, const char *name, struct ingest *ret, struct err *err);

/* Throw away what was written. */
int ingest_restart(struct ingest *ingest, struct err *err);

/* Append. */
int ingest_write(struct ingest *ingest, const void *data, size_t len, struct err *err);

/* Close. @ret_digest gets the digest of the whole unless NULL. */
void ingest_close(struct ingest *ingest, char *ret_digest);

/* Append the content of @name in @dir_fd, at most @max bytes, to @out. */
int ingest_read(int dir_fd, const char *name, size_t max, struct buf *out, struct err *err);

#endif
