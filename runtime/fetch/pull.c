/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/pull.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/document.h"
#include "runtime/fetch/download.h"
#include "runtime/fetch/ingest.h"
#include "runtime/fetch/meter.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/settings.h"
#include "runtime/image_json.h"
#include "runtime/platform.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    THREADS_MAX = 3, /* blobs on their way at a time */
};

/* One pull. Several threads fetch its blobs, each over a connection of its own. */
struct pull {
    struct registries *set;
    int ingest_fd;
    struct image_manifest manifest;
    struct meter meter;
    pthread_mutex_t lock;
    size_t next;    /* the next blob to fetch: 0 the config, then the layers; under the lock */
    struct err err; /* the first failure, after which no blob is begun; under the lock */
    atomic_bool failed;
};

/* The next blob to fetch; NULL when there is none or one failed. */
static const struct image_blob *next_blob(struct pull *p, bool *ret_layer)
{
    const struct image_blob *blob = NULL;
    pthread_mutex_lock(&p->lock);
    size_t i = p->next++;
    if (!atomic_load(&p->failed) && i <= p->manifest.layers_n)
        blob = i == 0 ? &p->manifest.config : &p->manifest.layers[i - 1];
    *ret_layer = i > 0;
    pthread_mutex_unlock(&p->lock);
    return blob;
}

static void *fetch_some(void *arg)
{
    struct pull *p = arg;
    struct download_target target = {
        .ingest_fd = p->ingest_fd, .meter = &p->meter, .cancel = &p->failed};
    struct registry *registry = NULL;
    struct err err = {0};
    const struct image_blob *blob;
    bool layer;
    int rv = registry_new(p->set, &registry, &err);
    while (rv == 0 && (blob = next_blob(p, &layer))) {
        rv = download_blob(&target, registry, blob, &err);
        if (rv == 0 && layer)
            meter_layer(&p->meter);
    }
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

/* An index is kept: another machine may have been told its digest, and check by it. */
static int keep_index(void *arg, const struct buf *content, const char *digest, struct err *err)
{
    return keep_document(arg, content, digest, err);
}

/* Read the manifest and add up what it asks for. */
static int measure(struct pull *p, const struct buf *content, int64_t max_bytes, struct err *err)
{
    struct image_manifest *m = &p->manifest;
    int rv = image_manifest_parse(str_or_empty(content->data), content->len, m, err);
    if (rv < 0)
        return rv;
    int64_t total = m->config.size;
    for (size_t i = 0; i < m->layers_n; i++) {
        if (m->layers[i].size > max_bytes - total)
            return err_set(err, ERR_TOOBIG,
                           "the image is larger than the %lld bytes that are free or allowed",
                           (long long)max_bytes);
        total += m->layers[i].size;
    }
    meter_init(&p->meter, total, (unsigned)m->layers_n);
    return 0;
}

/* Get the manifest with a connection that is closed again: blobs may come from elsewhere. */
static int get_manifest(struct pull *p, const struct settings *settings,
                        const struct image_ref *ref, struct buf *content,
                        char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    struct image_platform platform;
    struct registry *registry = NULL;
    int rv = image_platform_parse(settings->platform, &platform, err);
    if (rv == 0)
        rv = registry_new(p->set, &registry, err);
    if (rv == 0)
        rv = document_get_manifest(registry, ref, &platform, keep_index, p, content, ret_digest,
                                   err);
    registry_free(registry);
    return rv;
}

int pull_image(const struct settings *settings, const char *name, int ingest_fd, int64_t max_bytes,
               struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    char digest[IMAGE_DIGEST_SIZE];
    struct image_ref ref;
    struct pull p = {.ingest_fd = ingest_fd, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rv = image_ref_parse(name, &ref, err);
    if (rv < 0)
        return rv;
    p.set = registries_new(settings, &ref, "pull");
    rv = get_manifest(&p, settings, &ref, &content, digest, err);
    if (rv == 0)
        rv = measure(&p, &content, max_bytes, err);
    if (rv == 0)
        rv = fetch_blobs(&p, err);
    if (rv == 0)
        rv = keep_document(&p, &content, digest, err);
    if (rv == 0)
        report_image(digest, NULL);
    registries_free(p.set);
    return rv;
}
