/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/stream.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STREAM_BLOCK = 256 << 10,
    BOMB_MIN = 1 << 30, /* bytes that come out before the ratio counts */
    BOMB_RATIO = 2000,  /* gzip's best is 1032, that of zstd has no end */
};

struct stream {
    int fd;
    struct archive *unpacker; /* NULL: the file is not compressed */
    struct digest *outer;
    struct digest *inner; /* NULL: the same as outer */
    int64_t outer_bytes;
    int64_t inner_bytes;
    int64_t max_bytes;
    int error;    /* errno of a failed read */
    bool too_big; /* more than max_bytes */
    bool bomb;    /* more than anything real packs */
    stream_progress_cb progress;
    void *progress_arg;
    char block[STREAM_BLOCK];
};

void digest_text(struct digest *digest, char ret[IMAGE_DIGEST_SIZE])
{
    unsigned char raw[DIGEST_BYTES];
    digest_final(digest, raw);
    memcpy(ret, "sha256:", 7);
    hex_encode(raw, sizeof(raw), ret + 7);
}

int archive_err(struct archive *archive, const char *what, struct err *err)
{
    int code = archive_errno(archive);
    const char *text = archive_error_string(archive);
    if (code == EFBIG) /* read_for_tar's */
        return err_set(err, ERR_TOOBIG, "%s: %s", what, text ? text : "too big");
    if (code == ENOSPC || code == ENOMEM || code == EIO)
        return err_errno(err, code, "%s", what);
    return err_set(err, ERR_CORRUPT, "%s: %s", what, text ? text : "damaged");
}

/* The next bytes of the file, hashed. */
static la_ssize_t read_file(struct archive *a, void *arg, const void **ret)
{
    (void)a;
    struct stream *s = arg;
    ssize_t n;
    do
        n = read(s->fd, s->block, sizeof(s->block));
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        s->error = errno;
        return -1;
    }
    digest_update(s->outer, s->block, (size_t)n);
    s->outer_bytes += n;
    if (s->progress)
        s->progress(s->progress_arg, s->outer_bytes);
    *ret = s->block;
    return n;
}

/* The next bytes of what comes out, hashed. */
static la_ssize_t read_unpacked(struct archive *a, void *arg, const void **ret)
{
    struct stream *s = arg;
    size_t n = 0;
    if (!s->unpacker) {
        la_ssize_t got = read_file(a, s, ret);
        if (got < 0)
            return got;
        n = (size_t)got;
    } else {
        la_int64_t offset;
        int rv = archive_read_data_block(s->unpacker, ret, &n, &offset);
        if (rv == ARCHIVE_EOF)
            return 0;
        if (rv != ARCHIVE_OK)
            return -1;
        digest_update(s->inner, *ret, n);
    }
    s->inner_bytes += (int64_t)n;
    if (s->inner_bytes > s->max_bytes) {
        s->too_big = true;
        return -1;
    }
    if (s->inner_bytes > BOMB_MIN && s->inner_bytes / BOMB_RATIO > s->outer_bytes) {
        s->bomb = true;
        return -1;
    }
    return (la_ssize_t)n;
}

/* The filter for what starts with these bytes, or ARCHIVE_FILTER_NONE. */
static int filter_of(const unsigned char *magic)
{
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return ARCHIVE_FILTER_GZIP;
    if (magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd)
        return ARCHIVE_FILTER_ZSTD;
    return ARCHIVE_FILTER_NONE;
}

static int open_unpacker(struct stream *s, int filter, struct err *err)
{
    s->unpacker = archive_read_new();
    check(s->unpacker);
    s->inner = digest_new();
    struct archive_entry *entry;
    if (archive_read_support_format_raw(s->unpacker) != ARCHIVE_OK ||
        archive_read_support_format_empty(s->unpacker) != ARCHIVE_OK ||
        archive_read_append_filter(s->unpacker, filter) != ARCHIVE_OK ||
        archive_read_open(s->unpacker, s, NULL, read_file, NULL) != ARCHIVE_OK)
        return archive_err(s->unpacker, "decompress", err);
    int rv = archive_read_next_header(s->unpacker, &entry);
    if (rv != ARCHIVE_OK && rv != ARCHIVE_EOF)
        return archive_err(s->unpacker, "decompress", err);
    return 0;
}

int stream_open(int fd, int64_t max_bytes, struct stream **ret, struct err *err)
{
    struct stream *s = mem_alloc(1, sizeof(*s));
    unsigned char magic[4] = {0};
    s->fd = fd;
    s->max_bytes = max_bytes;
    s->outer = digest_new();
    int rv = pread(fd, magic, sizeof(magic), 0) < 0 ? err_errno(err, errno, "read") : 0;
    int filter = filter_of(magic);
    if (rv == 0 && filter != ARCHIVE_FILTER_NONE)
        rv = open_unpacker(s, filter, err);
    if (rv < 0) {
        stream_free(s);
        return rv;
    }
    *ret = s;
    return 0;
}

void stream_on_progress(struct stream *stream, stream_progress_cb progress, void *arg)
{
    stream->progress = progress;
    stream->progress_arg = arg;
}

/* Why reading stopped, when the stream knows better than the tar reader. */
static int stream_err(struct stream *s, struct err *err)
{
    if (s->too_big)
        return err_set(err, ERR_TOOBIG,
                       "it unpacks to more than the %lld bytes that are free or allowed",
                       (long long)s->max_bytes);
    if (s->bomb)
        return err_set(err, ERR_TOOBIG, "it unpacks to more than %d times its size", BOMB_RATIO);
    if (s->error)
        return err_errno(err, s->error, "read");
    if (s->unpacker && archive_errno(s->unpacker) != 0)
        return archive_err(s->unpacker, "decompress", err);
    return 0;
}

static la_ssize_t read_for_tar(struct archive *a, void *arg, const void **ret)
{
    struct stream *s = arg;
    la_ssize_t n = read_unpacked(a, arg, ret);
    struct err why;
    if (n < 0 && stream_err(s, &why) < 0)
        archive_set_error(a, s->too_big || s->bomb ? EFBIG : EINVAL, "%s", why.msg);
    return n;
}

int stream_archive(struct stream *stream, struct archive **ret, struct err *err)
{
    struct archive *a = archive_read_new();
    check(a);
    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_format_empty(a) != ARCHIVE_OK ||
        archive_read_open(a, stream, NULL, read_for_tar, NULL) != ARCHIVE_OK) {
        int rv = archive_err(a, "open", err);
        archive_read_free(a);
        return rv;
    }
    *ret = a;
    return 0;
}

int stream_finish(struct stream *s, char ret_outer[IMAGE_DIGEST_SIZE],
                  char ret_inner[IMAGE_DIGEST_SIZE], int64_t *ret_size, struct err *err)
{
    const void *block;
    la_ssize_t n;
    while ((n = read_unpacked(s->unpacker, s, &block)) > 0)
        continue;
    if (n < 0) {
        int rv = stream_err(s, err);
        return rv < 0 ? rv : err_set(err, ERR_CORRUPT, "decompress: damaged");
    }
    while ((n = read_file(NULL, s, &block)) > 0) /* what follows the compressed data */
        continue;
    if (n < 0)
        return err_errno(err, s->error, "read");
    digest_text(s->outer, ret_outer);
    s->outer = NULL;
    if (s->inner)
        digest_text(s->inner, ret_inner);
    else
        memcpy(ret_inner, ret_outer, IMAGE_DIGEST_SIZE);
    s->inner = NULL;
    *ret_size = s->outer_bytes;
    return 0;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    if (s->unpacker)
        archive_read_free(s->unpacker);
    if (s->outer)
        digest_free(s->outer);
    if (s->inner)
        digest_free(s->inner);
    free(s);
}
