/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_sweep.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_POLL_MS = 200,
    RESERVE_BYTES = 64 << 20, /* what images leave free on the disk */
};

#define UNPACK_MAX_BYTES (64LL << 30)

char *image_store_blob_path(const struct runtime *rt, const char *digest)
{
    check(image_digest_valid(digest));
    return str_printf("%s/images/blobs/sha256/%s", rt->data_dir, digest + 7);
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
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != size)
        return false;
    return size > IMAGE_DOCUMENT_MAX || image_store_read(rt, digest, &content, NULL) == 0;
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
    if (rename(from, to) < 0)
        return err_errno(err, errno, "rename %s to %s", from, to);
    return 0;
}

int64_t image_store_room(const struct runtime *rt)
{
    struct statvfs fs;
    if (statvfs(rt->data_dir, &fs) < 0)
        return 0;
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room < RESERVE_BYTES)
        return 0;
    room -= RESERVE_BYTES;
    return room > UNPACK_MAX_BYTES ? UNPACK_MAX_BYTES : (int64_t)room;
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
        image_sweep_garbage(rt, content->fetching == 0);
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
    index_content(rt->index)->fetching++;
    image_store_end(rt);
    return 0;
}

void image_store_fetch_end(struct runtime *rt)
{
    struct index_content *content = index_content(rt->index);
    check(pthread_mutex_lock(&content->lock) == 0);
    content->fetching--;
    image_store_end(rt);
}

/* ChainID(L0..Ln) = digest(ChainID(L0..Ln-1) + " " + DiffID(Ln)); the first is its DiffID. */
static void next_chain_id(char chain_id[IMAGE_DIGEST_SIZE], const char *diff_id)
{
    unsigned char raw[DIGEST_BYTES];
    char text[2 * IMAGE_DIGEST_SIZE];
    if (chain_id[0] == '\0') {
        str_fill(chain_id, IMAGE_DIGEST_SIZE, diff_id);
        return;
    }
    size_t len = strlen(chain_id);
    memcpy(text, chain_id, len);
    text[len] = ' ';
    str_fill(text + len + 1, sizeof(text) - len - 1, diff_id);
    digest_of(text, strlen(text), raw);
    memcpy(chain_id, "sha256:", 7);
    hex_encode(raw, sizeof(raw), chain_id + 7);
}

/* What an installation works on. */
struct install {
    struct image_manifest manifest;
    char diff_ids[IMAGE_LAYERS_MAX][IMAGE_DIGEST_SIZE];
    struct index_layer layers[IMAGE_LAYERS_MAX];
    int64_t numbers[IMAGE_LAYERS_MAX];
    int64_t next; /* the next free layer number */
};

static int read_documents(struct runtime *rt, const char *digest, struct install *in,
                          struct err *err)
{
    cleanup_buf struct buf manifest = BUF_INIT;
    cleanup_buf struct buf config = BUF_INIT;
    struct image ignored = {0};
    size_t diff_ids_n = 0;
    int rv = image_store_read(rt, digest, &manifest, err);
    if (rv == 0)
        rv = image_manifest_parse(manifest.data, manifest.len, &in->manifest, err);
    if (rv == 0)
        rv = image_store_read(rt, in->manifest.config.digest, &config, err);
    if (rv < 0)
        return rv;
    rv = image_config_parse(config.data, config.len, &ignored, in->diff_ids, &diff_ids_n, err);
    image_release(&ignored);
    if (rv == 0 && diff_ids_n != in->manifest.layers_n)
        return err_set(err, ERR_CORRUPT,
                       "the image's config speaks of %zu layers, its manifest "
                       "of %zu",
                       diff_ids_n, in->manifest.layers_n);
    return rv;
}

/* Find or unpack layer @i. */
static int install_layer(struct runtime *rt, struct install *in, size_t i,
                         const struct image_listener *listener, struct err *err)
{
    struct index_layer *layer = &in->layers[i];
    int64_t number;
    int rv = index_layer_find(rt->index, layer->chain_id, &number, err);
    if (rv < 0)
        return rv;
    if (number) {
        cleanup_free char *path = image_store_layer_path(rt, number);
        if (!file_exists(path) && (rv = index_layer_forget(rt->index, number, err)) < 0)
            return rv;
        if (!file_exists(path))
            number = 0;
    }
    if (!number) {
        number = in->next++;
        cleanup_free char *label = str_printf("%.80s: unpacking layer %zu of %zu", listener->label,
                                              i + 1, in->manifest.layers_n);
        struct image_listener inner = *listener;
        inner.label = label;
        rv = image_unpack_layer(rt, number, &in->manifest.layers[i], in->diff_ids[i], in->numbers,
                                i, &inner, err);
    }
    layer->number = in->numbers[i] = number;
    return rv;
}

static int record(struct runtime *rt, const char *digest, const char *name, struct install *in,
                  struct err *err)
{
    struct index_manifest row = {.size_bytes = in->manifest.config.size,
                                 .layers = in->layers,
                                 .layers_n = in->manifest.layers_n};
    str_fill(row.digest, sizeof(row.digest), digest);
    str_fill(row.config, sizeof(row.config), in->manifest.config.digest);
    for (size_t i = 0; i < in->manifest.layers_n; i++)
        row.size_bytes += in->manifest.layers[i].size;
    cleanup_close int fd = open(rt->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return err_errno(err, errno, "sync %s", rt->data_dir);
    atomic_store(&index_content(rt->index)->garbage, true); /* the name may have moved */
    return index_record(rt->index, &row, name, clock_wall_ms(), err);
}

int image_store_install(struct runtime *rt, const char *digest, const char *name,
                        const struct image_listener *listener, struct err *err)
{
    cleanup_free struct install *in = mem_alloc(1, sizeof(*in));
    char chain_id[IMAGE_DIGEST_SIZE] = "";
    int64_t max;
    int rv = read_documents(rt, digest, in, err);
    if (rv < 0 || (rv = index_layer_max(rt->index, &max, err)) < 0)
        return rv;
    in->next = max + 1;
    int64_t first_new = in->next;
    for (size_t i = 0; rv == 0 && i < in->manifest.layers_n; i++) {
        next_chain_id(chain_id, in->diff_ids[i]);
        str_fill(in->layers[i].chain_id, sizeof(in->layers[i].chain_id), chain_id);
        str_fill(in->layers[i].blob, sizeof(in->layers[i].blob), in->manifest.layers[i].digest);
        rv = install_layer(rt, in, i, listener, err);
    }
    if (rv == 0)
        rv = record(rt, digest, name, in, err);
    /* Layers that no row speaks of would be in the way of the next with their number. */
    for (int64_t n = first_new; rv < 0 && n < in->next; n++) {
        cleanup_free char *path = image_store_layer_path(rt, n);
        file_remove_tree(path, NULL);
    }
    return rv;
}
