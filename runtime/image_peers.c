/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_peers.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/peers.h"
#include "runtime/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 250, /* between calls of the progress callback */
    LOCK_POLL_MS = 200,
    INDEX_DEPTH_MAX = 2, /* indexes on the way to a manifest */
};

void runtime_on_peers(struct runtime *rt, const struct runtime_peers *peers)
{
    rt->peers = *peers;
}

void image_supply_init(struct image_supply *s, struct runtime *rt,
                       const struct image_listener *listener)
{
    *s = (struct image_supply){.rt = rt, .listener = listener};
}

/* It is over for @b. */
static void let_go(struct image_supply *s, struct supply_blob *b)
{
    if (b->wanted)
        s->rt->peers.release(s->rt->peers.arg, b->blob.digest, b->ours);
    b->wanted = b->ours = false;
}

void image_supply_release(struct image_supply *s)
{
    for (size_t i = 0; i < s->n; i++)
        let_go(s, &s->blobs[i]);
    free(s->blobs);
    *s = (struct image_supply){0};
}

static struct supply_blob *find(struct image_supply *s, const char *digest)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->blobs[i].blob.digest, digest) == 0)
            return &s->blobs[i];
    return NULL;
}

static void note_here(struct image_supply *s, struct supply_blob *b)
{
    if (b->source != SUPPLY_HERE)
        s->done += b->blob.size;
    b->source = SUPPLY_HERE;
    let_go(s, b);
}

/* The first time a blob is needed. */
static struct supply_blob *add(struct image_supply *s, const char *digest, int64_t size)
{
    const struct runtime_peers *peers = &s->rt->peers;
    s->blobs = mem_resize(s->blobs, s->n + 1, sizeof(*s->blobs));
    struct supply_blob *b = &s->blobs[s->n++];
    *b = (struct supply_blob){.source = SUPPLY_REGISTRY};
    str_fill(b->blob.digest, sizeof(b->blob.digest), digest);
    b->blob.size = size;
    s->total += size;
    if (image_store_have(s->rt, digest, size)) {
        note_here(s, b);
    } else if (peers->want) {
        b->wanted = true;
        b->ours = !peers->want(peers->arg, digest, size);
        b->source = b->ours ? SUPPLY_REGISTRY : SUPPLY_PEERS;
    }
    return b;
}

bool image_supply_have(struct image_supply *s, const char *digest, int64_t size)
{
    struct supply_blob *b = find(s, digest);
    /* The same content of two sizes: whoever says so is wrong about one. */
    if (b && b->blob.size != size)
        return image_store_have(s->rt, digest, size);
    if (!b && s->n >= IMAGE_LAYERS_MAX * 2)
        return image_store_have(s->rt, digest, size);
    if (!b)
        b = add(s, digest, size);
    else if (b->source == SUPPLY_REGISTRY && image_store_have(s->rt, digest, size))
        note_here(s, b); /* another pull of this machine was faster */
    return b->source != SUPPLY_REGISTRY;
}

void image_supply_filed(struct image_supply *s, const char *digest)
{
    struct supply_blob *b = find(s, digest);
    if (b)
        note_here(s, b);
}

size_t image_supply_missing(const struct image_supply *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->blobs[i].source == SUPPLY_REGISTRY;
    return n;
}

/* --- one blob from peers ---------------------------------------------------------------------- */

/* A blob on its way. */
struct arrival {
    struct image_supply *supply;
    int64_t told_ms;
    bool canceled;
};

static bool on_progress(void *arg, int64_t done, const char *from)
{
    struct arrival *a = arg;
    const struct image_listener *l = a->supply->listener;
    int64_t now_ms = clock_boot_ms();
    char text[240];
    if (!l->progress || now_ms - a->told_ms < TICK_MS)
        return !a->canceled;
    a->told_ms = now_ms;
    snprintf(text, sizeof(text), "%.80s: %.1f of %.1f MB%s%.60s", l->label,
             (double)(a->supply->done + done) / 1e6, (double)a->supply->total / 1e6,
             *from ? " from " : ", another member fetches it", from);
    a->canceled = !l->progress(l->arg, text);
    return !a->canceled;
}

/* True when the open file is still the one that @path stands for. */
static bool same_file(const char *path, int fd)
{
    struct stat ours;
    struct stat named;
    return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* Become the only writer of the file the blob arrives in. While another pull of this machine is,
 * wait; it may have come meanwhile: then *@ret_fd stays -1. */
static int lock_part(struct arrival *a, const struct image_blob *blob, const char *path,
                     int *ret_fd, struct err *err)
{
    for (;;) {
        cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_errno(err, errno, "create %s", path);
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!locked && errno != EWOULDBLOCK)
            return err_errno(err, errno, "lock %s", path);
        bool ours = locked && same_file(path, fd);
        if (blob->size >= 0 && image_store_have(a->supply->rt, blob->digest, blob->size)) {
            if (ours)
                unlink(path);
            return 0;
        }
        if (ours) {
            *ret_fd = steal_fd(&fd);
            return 0;
        }
        if (!on_progress(a, 0, ""))
            return err_set(err, ERR_CANCELED, "canceled");
        struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000};
        if (!locked)
            nanosleep(&pause, NULL);
    }
}

/* Get @blob from peers and file it. Its size may be -1, unknown. */
static int fetch(struct image_supply *s, const struct image_blob *blob, bool wanted,
                 struct err *err)
{
    const struct runtime_peers *peers = &s->rt->peers;
    cleanup_free char *ingest = str_printf("%s/images/ingest/pull", s->rt->data_dir);
    cleanup_free char *path = image_store_part_path(s->rt, blob->digest);
    struct arrival a = {.supply = s};
    cleanup_close int fd = -1;
    struct stat st;
    if (blob->size > image_store_room(s->rt))
        return err_set(err, ERR_NOSPACE, "there is no room for images left at %s", s->rt->data_dir);
    int rv = lock_part(&a, blob, path, &fd, err);
    if (rv < 0 || fd < 0)
        return rv;
    rv = peers->blob(peers->arg, blob->digest, blob->size, wanted, fd, on_progress, &a, err);
    if (rv == 0 && fstat(fd, &st) < 0)
        rv = err_errno(err, errno, "look at %s", path);
    if (rv == 0)
        return image_store_file(s->rt, ingest, strrchr(path, '/') + 1, blob->digest, st.st_size,
                                err);
    /* The start of a blob is worth keeping, no more. */
    if (fstat(fd, &st) < 0 || st.st_size == 0)
        unlink(path);
    return rv;
}

int image_supply_fetch(struct image_supply *s, bool last, struct err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct supply_blob *b = &s->blobs[i];
        struct err why = {0};
        if (b->source == SUPPLY_HERE || (b->source == SUPPLY_REGISTRY && !last) ||
            !s->rt->peers.blob)
            continue;
        int rv = fetch(s, &b->blob, !last && b->wanted, &why);
        if (rv == 0) {
            note_here(s, b);
        } else if (rv == ERR_NOTFOUND) {
            b->ours |= !last && b->wanted;
            b->source = SUPPLY_REGISTRY;
        } else {
            if (err)
                *err = why;
            return rv;
        }
    }
    return 0;
}

/* --- what a name or a digest leads to --------------------------------------------------------- */

int image_supply_resolve(struct image_supply *s, const char *name,
                         char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    const struct runtime_peers *peers = &s->rt->peers;
    char digest[IMAGE_DIGEST_SIZE] = "";
    if (!peers->resolve)
        return err_set(err, ERR_NOTFOUND, "there is no other member");
    int rv = peers->resolve(peers->arg, name, digest, err);
    if (rv == 0 && !image_digest_valid(digest))
        return err_set(err, ERR_CORRUPT, "a member has '%.80s' for image %.80s", digest, name);
    if (rv == 0)
        str_fill(ret_digest, IMAGE_DIGEST_SIZE, digest);
    return rv;
}

/* Read the document @digest; what is not here comes from peers. */
static int read_document(struct image_supply *s, const char *digest, struct buf *out,
                         struct err *err)
{
    struct image_blob blob = {.size = -1};
    str_fill(blob.digest, sizeof(blob.digest), digest);
    if (image_store_read(s->rt, digest, out, NULL) == 0)
        return 0;
    buf_reset(out);
    if (!s->rt->peers.blob)
        return err_set(err, ERR_NOTFOUND, "it is not on this machine");
    int rv = fetch(s, &blob, false, err);
    return rv < 0 ? rv : image_store_read(s->rt, digest, out, err);
}

/* The document for @platform in the index whose text is @content. */
static int choose(const struct buf *content, const struct image_platform *platform,
                  char ret_digest[IMAGE_DIGEST_SIZE], struct err *err)
{
    struct image_index index;
    int rv = image_index_parse(str_or_empty(content->data), content->len, &index, err);
    if (rv < 0)
        return rv;
    const struct image_index_entry *entry = image_index_choose_for(&index, platform);
    if (entry)
        str_fill(ret_digest, IMAGE_DIGEST_SIZE, entry->blob.digest);
    else
        rv = err_set(err, ERR_UNSUPPORTED, "there is no image for %s/%s in it", platform->os,
                     platform->architecture);
    image_index_release(&index);
    return rv;
}

/* Read the manifest that @digest is or leads to; *@digest is then the manifest's. */
static int read_manifest(struct image_supply *s, const struct image_platform *platform,
                         char digest[IMAGE_DIGEST_SIZE], struct image_manifest *ret,
                         struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    for (int depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
        enum image_document kind;
        buf_reset(&content);
        int rv = read_document(s, digest, &content, err);
        if (rv == 0)
            rv = image_document_kind(str_or_empty(content.data), content.len, &kind, err);
        if (rv < 0)
            return rv;
        if (kind == IMAGE_DOCUMENT_MANIFEST)
            return image_manifest_parse(str_or_empty(content.data), content.len, ret, err);
        if ((rv = choose(&content, platform, digest, err)) < 0)
            return rv;
    }
    return err_set(err, ERR_UNSUPPORTED, "it is an index of indexes, nested too deep");
}

int image_supply_manifest(struct image_supply *s, const char *digest,
                          const struct image_platform *platform,
                          char ret_manifest[IMAGE_DIGEST_SIZE], struct err *err)
{
    cleanup_free struct image_manifest *m = mem_alloc(1, sizeof(*m));
    char found[IMAGE_DIGEST_SIZE];
    str_fill(found, sizeof(found), digest);
    int rv = read_manifest(s, platform, found, m, err);
    if (rv < 0)
        return rv;
    image_supply_have(s, m->config.digest, m->config.size);
    for (size_t i = 0; i < m->layers_n; i++)
        image_supply_have(s, m->layers[i].digest, m->layers[i].size);
    str_fill(ret_manifest, IMAGE_DIGEST_SIZE, found);
    return 0;
}
