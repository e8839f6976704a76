/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/pull.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/ingest.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/stream.h"
#include "runtime/image_json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 3,  /* blobs on their way at a time */
    ATTEMPTS_MAX = 4, /* of a blob */
    RETRY_PAUSE_MS = 500,
    LOCK_POLL_MS = 200,
};

/* One pull. Several threads fetch its blobs, each over a connection of its own. */
struct pull {
    const struct image_ref *ref;
    int ingest_fd;
    struct image_manifest manifest;
    atomic_llong done; /* bytes */
    int64_t total;
    pthread_mutex_t lock;
    size_t next;    /* the next blob to fetch: 0 the config, then the layers; under the lock */
    struct err err; /* the first failure, after which no blob is begun; under the lock */
    atomic_bool failed;
};

/* A blob on its way in. */
struct download {
    struct pull *pull;
    struct registry *registry;
    struct ingest ingest;
    int64_t size;    /* that the manifest promises */
    int64_t counted; /* bytes of it in pull->done */
};

/* Bring the pull's progress up to date. */
static void count(struct download *d)
{
    long long more = d->ingest.size - d->counted;
    long long done = atomic_fetch_add(&d->pull->done, more) + more;
    d->counted = d->ingest.size;
    report_progress(done, d->pull->total);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int on_data(void *arg, const void *data, size_t len, struct err *err)
{
    struct download *d = arg;
    if (atomic_load(&d->pull->failed))
        return err_set(err, ERR_CANCELED, "another blob of the image failed");
    if ((int64_t)len > d->size - d->ingest.size)
        return err_set(err, ERR_CORRUPT, "the registry sends more than the blob's size");
    int rv = ingest_write(&d->ingest, data, len, err);
    count(d);
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
static int lock_part(struct pull *p, const struct image_blob *blob, const char *name, int *ret_lock,
                     bool *ret_have, struct err *err)
{
    for (;;) {
        cleanup_close int fd =
            openat(p->ingest_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_errno(err, errno, "create %s in the ingest folder", name);
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!locked && errno != EWOULDBLOCK)
            return err_errno(err, errno, "lock %s in the ingest folder", name);
        if ((*ret_have = report_have(blob->digest, blob->size))) {
            if (locked && same_file(p->ingest_fd, name, fd))
                unlinkat(p->ingest_fd, name, 0);
            return 0;
        }
        if (locked && same_file(p->ingest_fd, name, fd)) {
            *ret_lock = steal_fd(&fd);
            return 0;
        }
        report_progress(atomic_load(&p->done), p->total);
        if (!locked)
            pause_ms(LOCK_POLL_MS);
    }
}

/* Worth another try: the connection broke, or the registry is busy. */
static bool transient(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_CONFLICT;
}

/* Get what is missing of the blob, resuming where a connection broke. */
static int fill(struct download *d, const struct image_blob *blob, struct err *err)
{
    int rv = 0;
    if (d->ingest.size > blob->size && (rv = ingest_restart(&d->ingest, err)) < 0)
        return rv;
    for (int attempt = 1; d->ingest.size < blob->size; attempt++) {
        int64_t before = d->ingest.size;
        struct err why = {0};
        rv = registry_get_blob(d->registry, blob->digest, before, on_data, d, &why);
        if (rv == 0 && d->ingest.size < blob->size)
            rv = err_set(&why, ERR_CORRUPT, "the registry sends less than the blob's size");
        if (rv == ERR_CONFLICT && (rv = ingest_restart(&d->ingest, &why)) == 0)
            rv = ERR_CONFLICT;
        if (rv < 0 && (!transient(rv) || attempt >= ATTEMPTS_MAX)) {
            if (err)
                *err = why;
            return rv;
        }
        if (rv < 0)
            pause_ms(RETRY_PAUSE_MS * attempt);
    }
    return 0;
}

static int fetch_into(struct pull *p, struct registry *registry, const struct image_blob *blob,
                      const char *name, struct err *err)
{
    struct download d = {.pull = p, .registry = registry, .size = blob->size};
    char digest[IMAGE_DIGEST_SIZE];
    int rv = ingest_open(p->ingest_fd, name, &d.ingest, err);
    if (rv < 0)
        return rv;
    count(&d);
    rv = fill(&d, blob, err);
    ingest_close(&d.ingest, digest);
    if (rv < 0)
        return rv;
    if (strcmp(digest, blob->digest) != 0) {
        atomic_fetch_sub(&p->done, d.counted);
        unlinkat(p->ingest_fd, name, 0);
        return err_set(err, ERR_CORRUPT, "the registry's blob %.19s... does not have its digest",
                       blob->digest);
    }
    return report_blob(blob->digest, blob->size, name, err);
}

static int fetch_blob(struct pull *p, struct registry *registry, const struct image_blob *blob,
                      struct err *err)
{
    cleanup_close int lock = -1;
    char name[DIGEST_HEX + 6];
    bool have = report_have(blob->digest, blob->size);
    struct stat st;
    memcpy(name, blob->digest + 7, DIGEST_HEX);
    memcpy(name + DIGEST_HEX, ".part", 6);
    int rv = have ? 0 : lock_part(p, blob, name, &lock, &have, err);
    if (rv == 0 && !have) {
        /* A part that is wrong is found out at its end: then once more from the start. */
        bool resumed = fstat(lock, &st) == 0 && st.st_size > 0;
        rv = fetch_into(p, registry, blob, name, err);
        if (rv == ERR_CORRUPT && resumed)
            rv = fetch_into(p, registry, blob, name, err);
    }
    if (have)
        atomic_fetch_add(&p->done, blob->size);
    return rv;
}

/* The next blob to fetch; NULL when there is none or one failed. */
static const struct image_blob *next_blob(struct pull *p)
{
    const struct image_blob *blob = NULL;
    pthread_mutex_lock(&p->lock);
    size_t i = p->next++;
    if (!atomic_load(&p->failed) && i <= p->manifest.layers_n)
        blob = i == 0 ? &p->manifest.config : &p->manifest.layers[i - 1];
    pthread_mutex_unlock(&p->lock);
    return blob;
}

static void *fetch_some(void *arg)
{
    struct pull *p = arg;
    struct registry *registry = NULL;
    struct err err = {0};
    const struct image_blob *blob;
    int rv = registry_new(p->ref, &registry, &err);
    while (rv == 0 && (blob = next_blob(p)))
        rv = fetch_blob(p, registry, blob, &err);
    registry_free(registry);
    pthread_mutex_lock(&p->lock);
    if (rv < 0 && !atomic_exchange(&p->failed, true))
        p->err = err;
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Fetch config and layers, several at a time. */
static int fetch_blobs(struct pull *p, struct err *err)
{
    pthread_t threads[THREADS_MAX];
    size_t n = 0;
    while (n < THREADS_MAX && n < p->manifest.layers_n &&
           pthread_create(&threads[n], NULL, fetch_some, p) == 0)
        n++;
    if (n == 0)
        fetch_some(p);
    for (size_t i = 0; i < n; i++)
        check(pthread_join(threads[i], NULL) == 0);
    if (!atomic_load(&p->failed))
        return 0;
    return err_set(err, p->err.code, "%s", p->err.msg);
}

/* File a document that was fetched whole. */
static int keep_document(struct pull *p, const struct buf *content, const char *digest,
                         struct err *err)
{
    char name[33] = ""; /* several processes may keep the same one */
    unsigned char raw[16];
    struct ingest ingest;
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), name);
    if (report_have(digest, (int64_t)content->len))
        return 0;
    int rv = ingest_open(p->ingest_fd, name, &ingest, err);
    if (rv < 0)
        return rv;
    rv = ingest_write(&ingest, content->data, content->len, err);
    ingest_close(&ingest, NULL);
    return rv < 0 ? rv : report_blob(digest, (int64_t)content->len, name, err);
}

/* Get the document @version, check it against @promised if that is set, and give its digest. */
static int get_document(struct registry *registry, const char *version, const char *promised,
                        struct buf *content, char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    int rv = registry_get_manifest(registry, version, content, err);
    if (rv < 0)
        return rv;
    struct digest *hash = digest_new();
    digest_update(hash, str_or_empty(content->data), content->len);
    digest_text(hash, ret_digest);
    if (promised[0] && strcmp(promised, ret_digest) != 0)
        return err_set(err, ERR_CORRUPT,
                       "the registry's manifest does not have the digest %.19s... it is asked for",
                       promised);
    return 0;
}

/* Get the manifest for this machine, through an index if that is what the name stands for. */
static int get_manifest(struct registry *registry, const struct image_ref *ref, struct buf *content,
                        char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    enum image_document kind;
    struct image_index index;
    char chosen[IMAGE_DIGEST_SIZE] = "";
    int rv = get_document(registry, ref->digest[0] ? ref->digest : ref->tag, ref->digest, content,
                          ret_digest, err);
    if (rv < 0 ||
        (rv = image_document_kind(str_or_empty(content->data), content->len, &kind, err)) < 0)
        return rv;
    if (kind == IMAGE_DOCUMENT_MANIFEST)
        return 0;
    if ((rv = image_index_parse(content->data, content->len, &index, err)) < 0)
        return rv;
    const struct image_index_entry *entry = image_index_choose(&index);
    if (entry)
        str_fill(chosen, sizeof(chosen), entry->blob.digest);
    image_index_release(&index);
    if (!chosen[0])
        return err_set(err, ERR_UNSUPPORTED, "%.120s has no image for linux/%s", ref->repository,
                       image_host_architecture());
    buf_reset(content);
    return get_document(registry, chosen, chosen, content, ret_digest, err);
}

/* Get the manifest and add up what it asks for. */
static int begin(struct pull *p, int64_t max_bytes, struct buf *content,
                 char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    struct registry *registry;
    struct image_manifest *m = &p->manifest;
    int rv = registry_new(p->ref, &registry, err);
    if (rv < 0)
        return rv;
    rv = get_manifest(registry, p->ref, content, ret_digest, err);
    registry_free(registry);
    if (rv < 0 ||
        (rv = image_manifest_parse(str_or_empty(content->data), content->len, m, err)) < 0)
        return rv;
    p->total = m->config.size;
    for (size_t i = 0; i < m->layers_n; i++) {
        if (m->layers[i].size > max_bytes - p->total)
            return err_set(err, ERR_TOOBIG,
                           "the image is larger than the %lld bytes that are free or allowed",
                           (long long)max_bytes);
        p->total += m->layers[i].size;
    }
    return 0;
}

int pull_image(const char *name, int ingest_fd, int64_t max_bytes, struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    char digest[IMAGE_DIGEST_SIZE];
    struct image_ref ref;
    struct pull p = {.ref = &ref, .ingest_fd = ingest_fd, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rv = image_ref_parse(name, &ref, err);
    if (rv == 0)
        rv = begin(&p, max_bytes, &content, digest, err);
    if (rv == 0)
        rv = fetch_blobs(&p, err);
    if (rv == 0)
        rv = keep_document(&p, &content, digest, err);
    if (rv == 0)
        report_image(digest, NULL);
    return rv;
}
