/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/push.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/ingest.h"
#include "runtime/fetch/meter.h"
#include "runtime/fetch/registry.h"
#include "runtime/fetch/registry_push.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/retry.h"
#include "runtime/fetch/settings.h"
#include "runtime/image_json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    THREADS_MAX = 3, /* blobs on their way at a time */
};

/* One push. Several threads send its blobs, each over a connection of its own. */
struct push {
    const struct settings *settings;
    struct registries *set;
    int blobs_fd;
    struct image_manifest manifest;
    struct meter meter;
    pthread_mutex_t lock;
    size_t next;    /* the next blob to send: the layers, then the config; under the lock */
    struct err err; /* the first failure, after which no blob is begun; under the lock */
    atomic_bool failed;
};

/* A blob on its way out. */
struct upload {
    struct push *push;
    struct registry *registry;
    const struct image_blob *blob;
    int fd;
    int64_t counted; /* bytes of it that the meter knows */
};

static void on_sent(void *arg, int64_t sent)
{
    struct upload *u = arg;
    meter_add(&u->push->meter, sent - u->counted, sent > u->counted ? sent - u->counted : 0);
    u->counted = sent;
}

/* The repository that the registry could take the blob from, or NULL. */
static const char *mount_of(const struct settings *s, const char *digest)
{
    for (size_t i = 0; i < s->mounts_n; i++) {
        if (strcmp(s->mounts[i].digest, digest) == 0)
            return s->mounts[i].repository;
    }
    return NULL;
}

/* Have the registry have the blob, in one try. */
static int send_once(struct upload *u, struct err *err)
{
    cleanup_free char *location = NULL;
    const struct image_blob *blob = u->blob;
    bool has = false;
    on_sent(u, 0);
    int rv = registry_has_blob(u->registry, blob->digest, &has, err);
    if (rv == 0 && !has)
        rv = registry_begin_upload(u->registry, blob, mount_of(u->push->settings, blob->digest),
                                   &has, &location, err);
    if (rv == 0 && !has)
        return registry_put_blob(u->registry, location, blob, u->fd, on_sent, u, &u->push->failed,
                                 err);
    if (rv == 0) {
        meter_add(&u->push->meter, blob->size - u->counted, 0);
        u->counted = blob->size;
    }
    return rv;
}

static int open_blob(struct push *p, const struct image_blob *blob, int *ret_fd, struct err *err)
{
    cleanup_close int fd =
        openat(p->blobs_fd, blob->digest + 7, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_errno(err, errno, "open blob %.19s... of the image", blob->digest);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != blob->size)
        return err_set(err, ERR_CORRUPT,
                       "blob %.19s... of the image is damaged; pull or load it again",
                       blob->digest);
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int send_blob(struct push *p, struct registry *registry, const struct image_blob *blob,
                     struct err *err)
{
    cleanup_close int fd = -1;
    int rv = open_blob(p, blob, &fd, err);
    if (rv < 0)
        return rv;
    struct upload u = {.push = p, .registry = registry, .blob = blob, .fd = fd};
    for (int tries = 1;; tries++) {
        rv = send_once(&u, err);
        if (rv == 0 || !retry_wait(rv, tries, registry_retry_after_s(registry), &p->failed))
            return rv;
    }
}

/* The next blob to send; NULL when there is none or one failed. */
static const struct image_blob *next_blob(struct push *p, bool *ret_layer)
{
    const struct image_blob *blob = NULL;
    pthread_mutex_lock(&p->lock);
    size_t i = p->next++;
    *ret_layer = i < p->manifest.layers_n;
    if (!atomic_load(&p->failed) && i <= p->manifest.layers_n)
        blob = *ret_layer ? &p->manifest.layers[i] : &p->manifest.config;
    pthread_mutex_unlock(&p->lock);
    return blob;
}

static void *send_some(void *arg)
{
    struct push *p = arg;
    struct registry *registry = NULL;
    struct err err = {0};
    const struct image_blob *blob;
    bool layer;
    int rv = registry_new(p->set, &registry, &err);
    while (rv == 0 && (blob = next_blob(p, &layer))) {
        rv = send_blob(p, registry, blob, &err);
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

/* Send layers and config, several at a time. */
static int send_blobs(struct push *p, struct err *err)
{
    pthread_t threads[THREADS_MAX];
    size_t n = 0;
    while (n < THREADS_MAX && n < p->manifest.layers_n &&
           pthread_create(&threads[n], NULL, send_some, p) == 0)
        n++;
    if (n == 0)
        send_some(p);
    for (size_t i = 0; i < n; i++)
        check(pthread_join(threads[i], NULL) == 0);
    if (!atomic_load(&p->failed))
        return 0;
    return err_set(err, p->err.code, "%s", p->err.msg);
}

/* The manifest's media type: what it says itself, else OCI's. */
static int media_type(const struct buf *content, char **ret, struct err *err)
{
    json_t *root;
    int rv = image_json_load("manifest", content->data, content->len, &root, err);
    if (rv < 0)
        return rv;
    const char *type = str_or_empty(json_string_value(json_object_get(root, "mediaType")));
    if (strcmp(type, IMAGE_TYPE_DOCKER_MANIFEST) != 0)
        type = IMAGE_TYPE_OCI_MANIFEST;
    *ret = str_copy(type);
    json_decref(root);
    return 0;
}

static int read_manifest(struct push *p, struct buf *content, struct err *err)
{
    struct image_manifest *m = &p->manifest;
    unsigned char found[DIGEST_BYTES];
    unsigned char wanted[DIGEST_BYTES];
    const char *hex = p->settings->push_manifest + 7;
    int rv = ingest_read(p->blobs_fd, hex, IMAGE_DOCUMENT_MAX, content, err);
    if (rv < 0)
        return rv;
    digest_of(str_or_empty(content->data), content->len, found);
    if (!hex_decode(hex, wanted, sizeof(wanted)) || memcmp(found, wanted, sizeof(found)) != 0)
        return err_set(err, ERR_CORRUPT, "the image's manifest is damaged; pull or load it again");
    if ((rv = image_manifest_parse(content->data, content->len, m, err)) < 0)
        return rv;
    int64_t total = m->config.size;
    for (size_t i = 0; i < m->layers_n; i++)
        total += m->layers[i].size;
    meter_init(&p->meter, total, (unsigned)m->layers_n);
    return 0;
}

/* The manifest comes last: whoever sees the tag finds all of it. */
static int send_manifest(struct push *p, const struct image_ref *ref, const struct buf *content,
                         struct err *err)
{
    cleanup_free char *type = NULL;
    struct registry *registry = NULL;
    const char *digest = p->settings->push_manifest;
    int rv = media_type(content, &type, err);
    if (rv == 0)
        rv = registry_new(p->set, &registry, err);
    for (int tries = 1; rv == 0; tries++) {
        rv = registry_put_manifest(registry, ref->tag[0] ? ref->tag : digest, type, content->data,
                                   content->len, digest, err);
        if (rv == 0 || !retry_wait(rv, tries, registry_retry_after_s(registry), NULL))
            break;
        rv = 0;
    }
    registry_free(registry);
    return rv;
}

int push_image(const struct settings *settings, const char *name, int blobs_fd, int64_t max_bytes,
               struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    struct image_ref ref;
    struct push p = {.settings = settings, .blobs_fd = blobs_fd, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rv = image_ref_parse(name, &ref, err);
    (void)max_bytes;
    if (rv < 0 || (rv = read_manifest(&p, &content, err)) < 0)
        return rv;
    p.set = registries_new(settings, &ref, "pull,push");
    rv = send_blobs(&p, err);
    if (rv == 0)
        rv = send_manifest(&p, &ref, &content, err);
    if (rv == 0)
        report_digest(settings->push_manifest);
    registries_free(p.set);
    return rv;
}
