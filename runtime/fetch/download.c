/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/download.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "runtime/fetch/document.h"
#include "runtime/fetch/ingest.h"
#include "runtime/fetch/meter.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/retry.h"
#include "runtime/image_json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_POLL_MS = 200,
    PROGRESS_MIN = 128 << 10, /* bytes by which an attempt must get on for it not to count */
};

/* A blob on its way in. */
struct download {
    const struct download_target *target;
    struct registry *registry;
    const struct image_blob *blob;
    struct ingest ingest;
    int64_t counted; /* bytes of it that the meter knows */
};

/* Bring the meter up to date; what came over the network is said. */
static void count(struct download *d, int64_t moved)
{
    meter_add(d->target->meter, d->ingest.size - d->counted, moved);
    d->counted = d->ingest.size;
}

static int on_data(void *arg, const void *data, size_t len, struct err *err)
{
    struct download *d = arg;
    if (atomic_load(d->target->cancel))
        return err_set(err, ERR_CANCELED, "another blob of the image failed");
    if ((int64_t)len > d->blob->size - d->ingest.size)
        return err_set(err, ERR_CORRUPT, "the registry sends more than the blob's size");
    int rv = ingest_write(&d->ingest, data, len, err);
    count(d, (int64_t)len);
    return rv;
}

/* True when the open file is still the one that @name stands for. */
static bool same_file(int dir_fd, const char *name, int fd)
{
    struct stat ours;
    struct stat named;
    return fstat(fd, &ours) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* Become the only writer of @name. While another process fetches the same blob, wait; *@ret_have
 * says that it came meanwhile. */
static int lock_part(const struct download_target *t, const struct image_blob *blob,
                     const char *name, int *ret_lock, bool *ret_have, struct err *err)
{
    for (;;) {
        cleanup_close int fd =
            openat(t->ingest_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_errno(err, errno, "create %s in the ingest folder", name);
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!locked && errno != EWOULDBLOCK)
            return err_errno(err, errno, "lock %s in the ingest folder", name);
        if ((*ret_have = report_have(blob->digest, blob->size))) {
            if (locked && same_file(t->ingest_fd, name, fd))
                unlinkat(t->ingest_fd, name, 0);
            return 0;
        }
        if (locked && same_file(t->ingest_fd, name, fd)) {
            *ret_lock = steal_fd(&fd);
            return 0;
        }
        if (atomic_load(t->cancel))
            return err_set(err, ERR_CANCELED, "another blob of the image failed");
        meter_tell(t->meter);
        struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
        if (!locked)
            nanosleep(&pause, NULL);
    }
}

/* One request to endpoint @at for what is missing. */
static int attempt(struct download *d, size_t at, struct err *err)
{
    const char *digest = d->blob->digest;
    int rv = registry_get_blob(d->registry, at, digest, d->ingest.size, on_data, d,
                               d->target->cancel, err);
    if (rv == 0 && d->ingest.size < d->blob->size)
        return err_set(
            err, ERR_UNAVAILABLE, "registry %.60s sends only %lld of the blob's %lld bytes",
            registry_host(d->registry, at), (long long)d->ingest.size, (long long)d->blob->size);
    if (rv == ERR_CONFLICT) { /* it cannot start there: from the start */
        int restarted = ingest_restart(&d->ingest, err);
        if (restarted < 0)
            return restarted;
        count(d, 0);
    }
    return rv;
}

/* Get what is missing of the blob from endpoint @at, resuming where a connection broke. */
static int fill(struct download *d, size_t at, struct err *err)
{
    bool last = at + 1 == registry_count(d->registry); /* a mirror has others behind it */
    for (int tries = 1;; tries++) {
        int64_t before = d->ingest.size;
        int rv = before == d->blob->size ? 0 : attempt(d, at, err);
        if (rv == 0)
            return 0;
        if (d->ingest.size - before >= PROGRESS_MIN)
            tries = 1;
        if ((rv == ERR_TIMEOUT && !last) ||
            !retry_wait(rv, tries, registry_retry_after_s(d->registry), d->target->cancel))
            return rv;
    }
}

/* Get the blob from endpoint @at and check it. A wrong one is thrown away. */
static int fetch_from(struct download *d, size_t at, const char *name, struct err *err)
{
    char digest[IMAGE_DIGEST_SIZE];
    int rv = ingest_open(d->target->ingest_fd, name, &d->ingest, err);
    if (rv == 0 && d->ingest.size > d->blob->size)
        rv = ingest_restart(&d->ingest, err);
    if (rv < 0)
        return rv;
    count(d, 0);
    rv = fill(d, at, err);
    ingest_close(&d->ingest, digest);
    if (rv < 0)
        return rv;
    if (strcmp(digest, d->blob->digest) == 0)
        return 0;
    meter_add(d->target->meter, -d->counted, 0);
    d->counted = 0;
    unlinkat(d->target->ingest_fd, name, 0);
    return err_set(err, ERR_CORRUPT, "registry %.60s: its blob %.19s... does not have its digest",
                   registry_host(d->registry, at), d->blob->digest);
}

/* Get the blob from one endpoint after the other. @resumed: what an earlier process left may be
 * wrong, which shows at its end only; then once more from the start. */
static int fetch_anywhere(struct download *d, const char *name, bool resumed, struct err *err)
{
    struct err mirror = {0};
    struct err why = {0};
    int rv = 0;
    for (size_t at = 0; at < registry_count(d->registry); at++) {
        bool last = at + 1 == registry_count(d->registry);
        if (!last && registry_is_dead(d->registry, at))
            continue;
        rv = fetch_from(d, at, name, &why);
        if (rv == ERR_CORRUPT && resumed)
            rv = fetch_from(d, at, name, &why);
        resumed = false;
        if (rv == 0 || rv == ERR_CANCELED)
            break;
        if (!last)
            mirror = why;
    }
    if (rv < 0) {
        document_add_mirror(&why, &mirror);
        if (err)
            *err = why;
        return rv;
    }
    return report_blob(d->blob->digest, d->blob->size, name, err);
}

int download_blob(const struct download_target *target, struct registry *registry,
                  const struct image_blob *blob, struct err *err)
{
    cleanup_close int lock = -1;
    char name[DIGEST_HEX + 6];
    struct download d = {.target = target, .registry = registry, .blob = blob};
    bool have = report_have(blob->digest, blob->size);
    struct stat st;
    memcpy(name, blob->digest + 7, DIGEST_HEX);
    memcpy(name + DIGEST_HEX, ".part", 6);
    int rv = have ? 0 : lock_part(target, blob, name, &lock, &have, err);
    if (rv == 0 && have)
        meter_add(target->meter, blob->size, 0);
    else if (rv == 0)
        rv = fetch_anywhere(&d, name, fstat(lock, &st) == 0 && st.st_size > 0, err);
    return rv;
}
