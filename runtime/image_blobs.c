/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_blobs - blobs as other machines are given them.
 */
#include "runtime/peers.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_store.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The size of the regular file @path, -1 when there is none. */
static int64_t file_size(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

int64_t image_blob_size(const struct runtime *rt, const char *digest)
{
    cleanup_free char *path = image_store_blob_path(rt, digest);
    return file_size(path);
}

int64_t image_blob_part(const struct runtime *rt, const char *digest)
{
    cleanup_free char *path = image_store_part_path(rt, digest);
    int64_t size = file_size(path);
    return size > 0 ? size : 0;
}

int image_blob_read(const struct runtime *rt, const char *digest, int64_t offset, size_t len,
                    struct buf *out, struct err *err)
{
    cleanup_free char *path = image_store_blob_path(rt, digest);
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open blob %s", digest);
    char *to = buf_reserve(out, len);
    for (size_t got = 0; got < len;) {
        ssize_t n = pread(fd, to + got, len - got, offset + (int64_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read blob %s", digest);
        if (n == 0)
            break;
        got += (size_t)n;
        out->len += (size_t)n;
    }
    out->data[out->len] = '\0';
    return 0;
}

int image_name_digest(struct runtime *rt, const char *name, char ret_digest[72],
                      int64_t *ret_created_ms, struct err *err)
{
    struct index_image row;
    int rv = index_name_find(rt->index, name, &row, err);
    if (rv < 0)
        return rv;
    str_fill(ret_digest, IMAGE_DIGEST_SIZE, row.digest);
    *ret_created_ms = row.created_ms;
    free(row.name);
    return 0;
}
