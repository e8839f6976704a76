/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_details - all that an image says of itself, and what it takes here.
 */
#include "runtime/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_json.h"
#include "runtime/image_store.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 4096, /* of an image's history, and labels */
};

static void decref(json_t **root)
{
    json_decref(*root);
}
#define cleanup_json __attribute__((cleanup(decref)))

/* The documents of an image, read and checked. */
struct documents {
    struct image_manifest manifest;
    char diff_ids[IMAGE_LAYERS_MAX][IMAGE_DIGEST_SIZE];
    size_t diff_ids_n;
};

void image_details_release(struct image_details *d)
{
    image_release(&d->image);
    image_strings_free(d->names);
    image_strings_free(d->holders);
    image_strings_free(d->labels);
    free(d->config_digest);
    free(d->created);
    free(d->author);
    free(d->os);
    free(d->architecture);
    free(d->variant);
    for (size_t i = 0; i < d->layers_n; i++) {
        free(d->layers[i].digest);
        free(d->layers[i].diff_id);
    }
    free(d->layers);
    for (size_t i = 0; i < d->history_n; i++) {
        free(d->history[i].created);
        free(d->history[i].created_by);
        free(d->history[i].comment);
    }
    free(d->history);
    *d = (struct image_details){0};
}

static char *copy_string(json_t *object, const char *key)
{
    return str_copy(str_or_empty(json_string_value(json_object_get(object, key))));
}

static char **copy_labels(json_t *labels)
{
    size_t n = 0;
    const char *key;
    json_t *value;
    char **list = mem_alloc(json_object_size(labels) + 1, sizeof(*list));
    json_object_foreach (labels, key, value) {
        if (json_is_string(value) && n < STEPS_MAX)
            list[n++] = str_printf("%s=%s", key, json_string_value(value));
    }
    return list;
}

/* History lines without "empty_layer" stand for the layers, in their order. */
static void read_history(json_t *history, struct image_details *d)
{
    size_t i;
    json_t *step;
    size_t layer = 0;
    d->history = mem_alloc(json_array_size(history) + 1, sizeof(*d->history));
    json_array_foreach (history, i, step) {
        if (i == STEPS_MAX)
            break;
        struct image_history *h = &d->history[d->history_n++];
        h->created = copy_string(step, "created");
        h->created_by = copy_string(step, "created_by");
        h->comment = copy_string(step, "comment");
        if (json_is_true(json_object_get(step, "empty_layer")) || layer >= d->layers_n)
            continue;
        h->size_bytes = d->layers[layer].size_bytes;
        h->layer = (int64_t)++layer;
    }
    /* Layers that the history does not tell of. */
    if (layer < d->layers_n)
        d->history =
            mem_resize(d->history, d->history_n + d->layers_n - layer, sizeof(*d->history));
    for (; layer < d->layers_n; layer++)
        d->history[d->history_n++] =
            (struct image_history){.created = str_copy(""),
                                   .created_by = str_copy(""),
                                   .comment = str_copy(""),
                                   .layer = (int64_t)layer + 1,
                                   .size_bytes = d->layers[layer].size_bytes};
}

static int read_config(struct runtime *rt, struct image_details *d, struct documents *doc,
                       struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *root = NULL;
    int rv = image_store_read(rt, doc->manifest.config.digest, &text, err);
    if (rv < 0 || (rv = image_config_parse(text.data, text.len, &d->image, doc->diff_ids,
                                           &doc->diff_ids_n, err)) < 0)
        return rv;
    if ((rv = image_json_load("image config", text.data, text.len, &root, err)) < 0)
        return rv;
    d->created = copy_string(root, "created");
    d->author = copy_string(root, "author");
    d->os = copy_string(root, "os");
    d->architecture = copy_string(root, "architecture");
    d->variant = copy_string(root, "variant");
    d->labels = copy_labels(json_object_get(json_object_get(root, "config"), "Labels"));
    read_history(json_object_get(root, "history"), d);
    return 0;
}

static int read_layers(struct runtime *rt, struct image_details *d, struct documents *doc,
                       struct err *err)
{
    cleanup_free struct index_layer *layers = NULL;
    char config[INDEX_DIGEST_SIZE];
    size_t n;
    int rv = index_manifest_layers(rt->index, d->image.digest, config, &layers, &n, err);
    if (rv < 0)
        return rv;
    if (n != doc->manifest.layers_n)
        return err_set(err, ERR_CORRUPT,
                       "the index speaks of %zu layers of %.100s, its manifest "
                       "of %zu",
                       n, d->image.name, doc->manifest.layers_n);
    d->config_digest = str_copy(doc->manifest.config.digest);
    d->layers = mem_alloc(n, sizeof(*d->layers));
    d->layers_n = n;
    for (size_t i = 0; i < n; i++)
        d->layers[i] = (struct image_layer_info){
            .digest = str_copy(doc->manifest.layers[i].digest),
            .size_bytes = doc->manifest.layers[i].size,
            .unpacked_bytes = layers[i].bytes,
            .damaged = layers[i].damaged || layers[i].number == 0,
        };
    return 0;
}

static int read_details(struct runtime *rt, struct image_details *d, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free struct documents *doc = mem_alloc(1, sizeof(*doc));
    int rv = index_names_of(rt->index, d->image.digest, &d->names, err);
    if (rv < 0 || (rv = index_holders(rt->index, d->image.digest, &d->holders, err)) < 0 ||
        (rv = image_store_read(rt, d->image.digest, &text, err)) < 0 ||
        (rv = image_manifest_parse(text.data, text.len, &doc->manifest, err)) < 0 ||
        (rv = read_layers(rt, d, doc, err)) < 0 || (rv = read_config(rt, d, doc, err)) < 0)
        return rv;
    for (size_t i = 0; i < d->layers_n && i < doc->diff_ids_n; i++)
        d->layers[i].diff_id = str_copy(doc->diff_ids[i]);
    return 0;
}

int image_details(struct runtime *rt, const char *ref, struct image_details *ret, struct err *err)
{
    struct image_details details = {0};
    int rv = image_lookup(rt, ref, &details.image, err);
    if (rv == 0)
        rv = read_details(rt, &details, err);
    if (rv < 0)
        image_details_release(&details);
    else
        *ret = details;
    return rv;
}
