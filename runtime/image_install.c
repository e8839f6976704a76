/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_install - from a manifest whose blobs are here to unpacked layers and rows of the index.
 */
#include "runtime/image_store.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_tree.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void image_store_next_chain(char chain_id[IMAGE_DIGEST_SIZE], const char *diff_id)
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
    struct image_room room;
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

/* Look for the unpacked layer; one that is gone or damaged is forgotten. Its folder goes too,
 * unless a container stands on it. */
static int find_layer(struct runtime *rt, struct index_layer *layer, struct err *err)
{
    struct index_layer known;
    bool in_use;
    int rv = index_layer_find(rt->index, layer->chain_id, &known, err);
    if (rv < 0 || !known.number)
        return rv;
    cleanup_free char *path = image_store_layer_path(rt, known.number);
    if (!known.damaged && file_exists(path)) {
        layer->number = known.number;
        layer->bytes = known.bytes;
        layer->entries = known.entries;
        return 0;
    }
    rv = index_layer_replace(rt->index, known.number, &in_use, err);
    return rv < 0 || in_use ? rv : file_remove_tree(path, err);
}

/* Find or unpack layer @i. */
static int install_layer(struct runtime *rt, struct install *in, size_t i,
                         const struct image_listener *listener, struct err *err)
{
    struct index_layer *layer = &in->layers[i];
    int rv = find_layer(rt, layer, err);
    if (rv == 0 && !layer->number) {
        layer->number = in->next++;
        cleanup_free char *label = str_printf("%.80s: unpacking layer %zu of %zu", listener->label,
                                              i + 1, in->manifest.layers_n);
        struct image_listener inner = *listener;
        inner.label = label;
        rv = image_unpack_layer(rt, layer->number, &in->manifest.layers[i], in->diff_ids[i],
                                in->numbers, i, &in->room, &inner, layer, err);
    }
    in->room.bytes -= layer->bytes;
    in->room.entries -= layer->entries;
    in->numbers[i] = layer->number;
    return rv;
}

/* The index that @name ("NAME@DIGEST") says, if it is one and here: others may ask for it. */
static void note_index(struct runtime *rt, const char *name, struct index_manifest *row)
{
    struct image_ref ref;
    if (!name || image_ref_parse(name, &ref, NULL) < 0 || !ref.digest[0] ||
        strcmp(ref.digest, row->digest) == 0 || image_blob_size(rt, ref.digest) < 0)
        return;
    str_fill(row->index, sizeof(row->index), ref.digest);
}

static int record(struct runtime *rt, const char *digest, const char *name, bool loaded,
                  struct install *in, struct err *err)
{
    struct index_manifest row = {.size_bytes = in->manifest.config.size,
                                 .layers = in->layers,
                                 .layers_n = in->manifest.layers_n,
                                 .loaded = loaded};
    str_fill(row.digest, sizeof(row.digest), digest);
    str_fill(row.config, sizeof(row.config), in->manifest.config.digest);
    note_index(rt, name, &row);
    for (size_t i = 0; i < in->manifest.layers_n; i++)
        row.size_bytes += in->manifest.layers[i].size;
    cleanup_close int fd = open(rt->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return err_errno(err, errno, "sync %s", rt->data_dir);
    atomic_store(&index_content(rt->index)->garbage, true); /* the name may have moved */
    return index_record(rt->index, &row, name, clock_wall_ms(), err);
}

int image_store_install(struct runtime *rt, const char *digest, const char *name, bool loaded,
                        const struct image_listener *listener, struct err *err)
{
    cleanup_free struct install *in = mem_alloc(1, sizeof(*in));
    in->room = (struct image_room){.bytes = IMAGE_MAX_BYTES, .entries = IMAGE_TREE_ENTRIES_MAX};
    char chain_id[IMAGE_DIGEST_SIZE] = "";
    int64_t max;
    int rv = read_documents(rt, digest, in, err);
    if (rv < 0 || (rv = index_layer_max(rt->index, &max, err)) < 0)
        return rv;
    in->next = max + 1;
    int64_t first_new = in->next;
    for (size_t i = 0; rv == 0 && i < in->manifest.layers_n; i++) {
        image_store_next_chain(chain_id, in->diff_ids[i]);
        str_fill(in->layers[i].chain_id, sizeof(in->layers[i].chain_id), chain_id);
        str_fill(in->layers[i].blob, sizeof(in->layers[i].blob), in->manifest.layers[i].digest);
        rv = install_layer(rt, in, i, listener, err);
    }
    if (rv == 0)
        rv = record(rt, digest, name, loaded, in, err);
    /* Layers that no row speaks of would be in the way of the next with their number. */
    for (int64_t n = first_new; rv < 0 && n < in->next; n++) {
        cleanup_free char *path = image_store_layer_path(rt, n);
        file_remove_tree(path, NULL);
    }
    return rv;
}

int image_store_unpack_again(struct runtime *rt, const char *digest, const char *chain_id,
                             const struct image_listener *listener, struct index_layer *ret,
                             struct err *err)
{
    cleanup_free struct install *in = mem_alloc(1, sizeof(*in));
    cleanup_free struct index_layer *layers = NULL;
    char config[INDEX_DIGEST_SIZE];
    size_t n;
    size_t i = 0;
    int64_t max;
    struct image_room room = {.bytes = IMAGE_MAX_BYTES, .entries = IMAGE_TREE_ENTRIES_MAX};
    int rv = read_documents(rt, digest, in, err);
    if (rv < 0 || (rv = index_layer_max(rt->index, &max, err)) < 0 ||
        (rv = index_manifest_layers(rt->index, digest, config, &layers, &n, err)) < 0)
        return rv;
    for (; i < n && strcmp(layers[i].chain_id, chain_id) != 0; i++)
        in->numbers[i] = layers[i].number;
    if (i >= n || i >= in->manifest.layers_n)
        return err_set(err, ERR_NOTFOUND, "the image has no such layer");
    rv = image_unpack_layer(rt, max + 1, &in->manifest.layers[i], in->diff_ids[i], in->numbers, i,
                            &room, listener, ret, err);
    if (rv < 0)
        return rv;
    cleanup_free char *path = image_store_layer_path(rt, max + 1);
    return file_remove_tree(path, err);
}
