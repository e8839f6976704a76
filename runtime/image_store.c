/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_sweep.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_POLL_MS = 200,
    RESERVE_BYTES = 64 << 20, /* what images leave free on the disk */
    RESERVE_SHARE = 50,       /* or this part of a small one */
};

char *image_store_blob_path(const struct runtime *rt, const char *digest)
{
    check(image_digest_valid(digest));
    return str_printf("%s/images/blobs/sha256/%s", rt->data_dir, digest + 7);
}

char *image_store_part_path(const struct runtime *rt, const char *digest)
{
    check(image_digest_valid(digest));
    return str_printf("%s/images/ingest/pull/%s.part", rt->data_dir, digest + 7);
}

char *image_store_layer_path(const struct runtime *rt, int64_t number)
{
    return str_printf("%s/images/layers/%lld", rt->data_dir, (long long)number);
}

static bool has_digest(const struct buf *content, const char *digest)
{
    unsigned char wanted[DIGEST_BYTES];
    unsigned char found[DIGEST_BYTES];
    digest_of(str_or_empty(content->data), content->len, found);
    return hex_decode(digest + 7, wanted, sizeof(wanted)) &&
           memcmp(wanted, found, sizeof(found)) == 0;
}

int image_store_read(const struct runtime *rt, const char *digest, struct buf *out, struct err *err)
{
    cleanup_free char *path = image_store_blob_path(rt, digest);
    int rv = file_read(path, IMAGE_DOCUMENT_MAX, out, err);
    if (rv == ERR_NOTFOUND)
        return err_set(err, ERR_CORRUPT, "blob %s is missing here; pull or load the image again",
                       digest);
    if (rv < 0)
        return rv;
    if (has_digest(out, digest))
        return 0;
    unlink(path);
    return err_set(err, ERR_CORRUPT, "%s is damaged and was deleted; pull or load the image again",
                   path);
}

bool image_store_have(const struct runtime *rt, const char *digest, int64_t size)
{
    cleanup_free char *path = image_store_blob_path(rt, digest);
    cleanup_buf struct buf content = BUF_INIT;
    struct image_flight *flight = &index_content(rt->index)->flight;
    struct stat st;
    image_flight_look(flight);
    bool have = lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == size;
    if (have && size <= IMAGE_DOCUMENT_MAX)
        have = image_store_read(rt, digest, &content, NULL) == 0;
    image_flight_looked(flight, digest, have);
    return have;
}

int image_store_file(const struct runtime *rt, const char *ingest, const char *file,
                     const char *digest, int64_t size, struct err *err)
{
    cleanup_free char *from = str_printf("%s/%s", ingest, file);
    cleanup_free char *to = image_store_blob_path(rt, digest);
    cleanup_close int fd = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_errno(err, errno, "open %s", from);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != size)
        return err_set(err, ERR_CORRUPT, "%s is not the blob it is said to be", from);
    if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "sync %s", from);
    struct image_flight *flight = &index_content(rt->index)->flight;
    image_flight_look(flight);
    int failed = rename(from, to) < 0 ? errno : 0;
    image_flight_looked(flight, digest, !failed);
    return failed ? err_errno(err, failed, "rename %s to %s", from, to) : 0;
}

struct image_disk image_store_disk(const struct runtime *rt)
{
    struct statvfs fs;
    if (statvfs(rt->data_dir, &fs) < 0)
        return (struct image_disk){0};
    return (struct image_disk){.bytes = (int64_t)(fs.f_blocks * fs.f_frsize),
                               .free = (int64_t)(fs.f_bavail * fs.f_frsize)};
}

int64_t image_store_reserve(const struct image_disk *disk)
{
    int64_t share = disk->bytes / RESERVE_SHARE;
    return share < RESERVE_BYTES ? share : RESERVE_BYTES;
}

int64_t image_store_room(const struct runtime *rt)
{
    struct image_disk disk = image_store_disk(rt);
    int64_t room = disk.free - image_store_reserve(&disk);
    if (room < 0)
        return 0;
    return room > IMAGE_MAX_BYTES ? IMAGE_MAX_BYTES : room;
}

int image_store_begin(struct runtime *rt, const struct image_listener *listener, struct err *err)
{
    struct index_content *content = index_content(rt->index);
    cleanup_free char *text = str_printf("%.80s: waits for another image", listener->label);
    for (;;) {
        struct timespec until;
        check(clock_gettime(CLOCK_REALTIME, &until) == 0);
        until.tv_nsec += LOCK_POLL_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        int failed = pthread_mutex_timedlock(&content->lock, &until);
        if (failed == 0)
            break;
        check(failed == ETIMEDOUT);
        if (listener->progress && !listener->progress(listener->arg, text))
            return err_set(err, ERR_CANCELED, "%.80s: canceled", listener->label);
    }
    int rv = content->swept ? 0 : image_sweep(rt, err);
    if (rv < 0)
        check(pthread_mutex_unlock(&content->lock) == 0);
    else
        content->swept = true;
    return rv;
}

void image_store_end(struct runtime *rt)
{
    struct index_content *content = index_content(rt->index);
    if (atomic_exchange(&content->garbage, false))
        image_sweep_garbage(rt);
    check(pthread_mutex_unlock(&content->lock) == 0);
    /* Garbage made after the look above is for the next one, unless there is none. */
    if (atomic_load(&content->garbage))
        image_store_collect(rt);
}

void image_store_collect(struct runtime *rt)
{
    struct index_content *content = index_content(rt->index);
    if (pthread_mutex_trylock(&content->lock) == 0)
        image_store_end(rt);
}

int image_store_fetch_begin(struct runtime *rt, const struct image_listener *listener,
                            struct err *err)
{
    int rv = image_store_begin(rt, listener, err);
    if (rv < 0)
        return rv;
    image_flight_begin(&index_content(rt->index)->flight);
    image_store_end(rt);
    return 0;
}

void image_store_fetch_end(struct runtime *rt)
{
    struct index_content *content = index_content(rt->index);
    struct image_flight_blob *blobs;
    size_t n;
    check(pthread_mutex_lock(&content->lock) == 0);
    image_flight_end(&content->flight, &blobs, &n);
    image_sweep_landed(rt, blobs, n);
    free(blobs);
    image_store_end(rt);
}
