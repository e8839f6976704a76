/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - a file that may be compressed, read once from its start, hashed on both sides.
 *
 *     stream_open(fd, max, &stream, &err);
 *     stream_archive(stream, &archive, &err);      read a tar from it with libarchive
 *     archive_read_free(archive);
 *     stream_finish(stream, outer, inner, &err);   the rest is read and the digests are known
 *     stream_free(stream);
 *
 * One gzip or zstd layer is taken off, chosen by the first bytes; never more than one, so that
 * nested bombs stay packed. What comes out is limited, and how much more it is than what went in. A
 * stream must not move while in use.
 */
#ifndef WHERRY_RUNTIME_FETCH_STREAM_H
#define WHERRY_RUNTIME_FETCH_STREAM_H

#include "runtime/image_name.h"

#include <stdint.h>

struct archive;
struct err;
struct stream;

/* Called as bytes are read: how many of the file so far. */
typedef void (*stream_progress_cb)(void *arg, int64_t bytes);

/* Start reading @fd (borrowed, a regular file at its start). At most @max_bytes may come out. */
int stream_open(int fd, int64_t max_bytes, struct stream **ret, struct err *err);

/* Have @progress called now and then. */
void stream_on_progress(struct stream *stream, stream_progress_cb progress, void *arg);

/* Open the tar in it. Free *@ret before the stream. */
int stream_archive(struct stream *stream, struct archive **ret, struct err *err);

/* Read to the end. Gives the digests of the file and of what came out of it ("sha256:HEX"), and
 * the file's size. */
int stream_finish(struct stream *stream, char ret_outer[IMAGE_DIGEST_SIZE],
                  char ret_inner[IMAGE_DIGEST_SIZE], int64_t *ret_size, struct err *err);

/* Free. NULL is fine. */
void stream_free(struct stream *stream);

/* The digest of a running hash as "sha256:HEX"; frees the hash. */
struct digest;
void digest_text(struct digest *digest, char ret[IMAGE_DIGEST_SIZE]);

/* The code that fits what libarchive says is wrong with @archive. */
int archive_err(struct archive *archive, const char *what, struct err *err);

#endif
