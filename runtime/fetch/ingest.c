/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/ingest.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "runtime/fetch/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    READ_BLOCK = 128 << 10,
};

/* Hash what the file has from its start; its offset is then at the end. */
static int hash_content(struct ingest *ingest, struct err *err)
{
    char *block = malloc(READ_BLOCK);
    check(block);
    ssize_t n;
    while ((n = read(ingest->fd, block, READ_BLOCK)) > 0) {
        digest_update(ingest->hash, block, (size_t)n);
        ingest->size += n;
    }
    int failed = n < 0 ? errno : 0;
    free(block);
    return failed ? err_errno(err, failed, "read a partial download") : 0;
}

int ingest_open(int dir_fd, const char *name, struct ingest *ret, struct err *err)
{
    struct ingest ingest = {0};
    ingest.fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (ingest.fd < 0)
        return err_errno(err, errno, "create %s in the ingest folder", name);
    ingest.hash = digest_new();
    int rv = hash_content(&ingest, err);
    if (rv < 0) {
        ingest_close(&ingest, NULL);
        return rv;
    }
    *ret = ingest;
    return 0;
}

int ingest_restart(struct ingest *ingest, struct err *err)
{
    if (ftruncate(ingest->fd, 0) < 0 || lseek(ingest->fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, "empty a file of the ingest folder");
    digest_free(ingest->hash);
    ingest->hash = digest_new();
    ingest->size = 0;
    return 0;
}

int ingest_write(struct ingest *ingest, const void *data, size_t len, struct err *err)
{
    int rv = fd_write_all(ingest->fd, data, len);
    if (rv < 0)
        return err_errno(err, -rv, "write to the ingest folder");
    digest_update(ingest->hash, data, len);
    ingest->size += (int64_t)len;
    return 0;
}

void ingest_close(struct ingest *ingest, char *ret_digest)
{
    if (ret_digest)
        digest_text(ingest->hash, ret_digest);
    else
        digest_free(ingest->hash);
    close(ingest->fd);
    *ingest = (struct ingest){.fd = -1};
}

int ingest_read(int dir_fd, const char *name, size_t max, struct buf *out, struct err *err)
{
    cleanup_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s in the ingest folder", name);
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, 16384), 16384);
        if (n < 0)
            return err_errno(err, errno, "read %s in the ingest folder", name);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > max)
            return err_set(err, ERR_TOOBIG, "a document of the image is larger than %zu bytes",
                           max);
    }
}
