/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_store.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum {
    PREFIX_MIN = 4, /* digits of a digest that stand for it */
};

void image_strings_free(char **strings)
{
    for (size_t i = 0; strings && strings[i]; i++)
        free(strings[i]);
    free(strings);
}

void image_release(struct image *image)
{
    free(image->name);
    free(image->digest);
    image_strings_free(image->entrypoint);
    image_strings_free(image->cmd);
    image_strings_free(image->env);
    image_strings_free(image->volumes);
    image_strings_free(image->exposed);
    free(image->user);
    free(image->working_dir);
    free(image->stop_signal);
    image_strings_free(image->layer_dirs);
    *image = (struct image){0};
}

void image_list_free(struct image *images, size_t n)
{
    for (size_t i = 0; i < n; i++)
        image_release(&images[i]);
    free(images);
}

int image_name_parse(const char *ref, char **ret_name, struct err *err)
{
    struct image_ref parsed;
    int rv = image_ref_parse(ref, &parsed, err);
    if (rv == 0)
        *ret_name = image_ref_format(&parsed);
    return rv;
}

/* The row of @ref: of a manifest for a digest, else of a name. */
static int find_row(struct runtime *rt, const char *ref, struct index_image *ret, struct err *err)
{
    struct image_ref parsed;
    if (image_digest_valid(ref))
        return index_manifest_find(rt->index, ref, ret, err);
    int rv = image_ref_parse(ref, &parsed, err);
    if (rv < 0)
        return rv;
    cleanup_free char *name = image_ref_format(&parsed);
    struct err why = {0};
    rv = index_name_find(rt->index, name, ret, &why);
    if (rv == ERR_NOTFOUND && parsed.digest[0] && parsed.tag[0]) { /* pulled as NAME@DIGEST */
        parsed.tag[0] = '\0';
        cleanup_free char *untagged = image_ref_format(&parsed);
        rv = index_name_find(rt->index, untagged, ret, &why);
    }
    if (rv == ERR_NOTFOUND && parsed.digest[0])
        rv = index_manifest_find(rt->index, parsed.digest, ret, &why);
    if (rv < 0 && err)
        *err = why;
    return rv;
}

static bool is_opaque(const char *folder)
{
    char value[2];
    return getxattr(folder, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* The layers' folders. A layer whose root is opaque hides all below it; overlayfs does not look at
 * roots, so they are left out here. */
static int fill_layers(struct runtime *rt, const struct index_layer *layers, size_t n,
                       struct image *image, struct err *err)
{
    size_t first = 0;
    image->layer_dirs = mem_alloc(n + 1, sizeof(*image->layer_dirs));
    for (size_t i = 0; i < n; i++) {
        char *folder = image_store_layer_path(rt, layers[i].number);
        image->layer_dirs[i] = folder;
        if (layers[i].damaged)
            return err_set(err, ERR_CORRUPT,
                           "a layer of image %.100s is damaged; pull or load it again, or try "
                           "'wherry image check --repair'",
                           image->name);
        if (layers[i].number == 0 || !file_exists(folder))
            return err_set(err, ERR_CORRUPT,
                           "a layer of image %.100s is gone; pull or load it again", image->name);
        if (is_opaque(folder))
            first = i;
    }
    for (size_t i = 0; i < first; i++)
        free(image->layer_dirs[i]);
    memmove(image->layer_dirs, image->layer_dirs + first,
            (n + 1 - first) * sizeof(*image->layer_dirs));
    return 0;
}

static int fill(struct runtime *rt, struct image *image, struct err *err)
{
    cleanup_buf struct buf config = BUF_INIT;
    cleanup_free struct index_layer *layers = NULL;
    cleanup_free char(*diff_ids)[IMAGE_DIGEST_SIZE] =
        mem_alloc(IMAGE_LAYERS_MAX, sizeof(*diff_ids));
    char config_digest[INDEX_DIGEST_SIZE];
    size_t diff_ids_n;
    size_t n;
    int rv = index_manifest_layers(rt->index, image->digest, config_digest, &layers, &n, err);
    if (rv < 0 || (rv = image_store_read(rt, config_digest, &config, err)) < 0 ||
        (rv = image_config_parse(config.data, config.len, image, diff_ids, &diff_ids_n, err)) < 0)
        return rv;
    return fill_layers(rt, layers, n, image, err);
}

/* Move what the index knows into @image. */
static void take_row(struct index_image *row, struct image *image)
{
    image->name = row->name ? row->name : str_copy(row->digest);
    image->digest = str_copy(row->digest);
    image->size_bytes = row->size_bytes;
    image->created_ms = row->created_ms;
    image->used_ms = row->used_ms;
    image->containers = row->holders;
    image->kept = row->kept;
    image->damaged = row->damaged;
    row->name = NULL;
}

int image_find(struct runtime *rt, const char *ref, struct image *ret_image, struct err *err)
{
    struct index_image row;
    struct image image = {0};
    int rv = find_row(rt, ref, &row, err);
    if (rv < 0)
        return rv;
    take_row(&row, &image);
    if ((rv = fill(rt, &image, err)) < 0) {
        image_release(&image);
        return rv;
    }
    *ret_image = image;
    return 0;
}

/* The row of the only manifest whose digest begins with the digits @ref, "sha256:" before or not.
 */
static int find_prefix(struct runtime *rt, const char *ref, struct index_image *ret,
                       struct err *err)
{
    const char *digits = str_starts(ref, "sha256:") ? ref + 7 : ref;
    size_t len = strlen(digits);
    struct index_image *rows;
    size_t n;
    if (len < PREFIX_MIN || strspn(digits, "0123456789abcdef") != len)
        return ERR_NOTFOUND;
    int rv = index_prefix(rt->index, digits, &rows, &n, err);
    if (rv < 0)
        return rv;
    if (n == 1) {
        *ret = rows[0];
        rows[0].name = NULL;
    } else if (n > 1) {
        rv = err_set(err, ERR_INVALID, "the digests of %zu images begin with %.70s: give more", n,
                     digits);
    } else {
        rv = ERR_NOTFOUND;
    }
    index_images_free(rows, n);
    return rv;
}

int image_store_lookup(struct runtime *rt, const char *ref, struct index_image *ret, bool *ret_name,
                       struct err *err)
{
    struct err first;
    int rv = find_row(rt, ref, ret, &first);
    if (rv == 0) {
        *ret_name = !image_digest_valid(ref);
        return 0;
    }
    if (rv == ERR_NOTFOUND || rv == ERR_INVALID) {
        int found = find_prefix(rt, ref, ret, err);
        if (found == 0)
            *ret_name = false;
        if (found != ERR_NOTFOUND)
            return found;
    }
    if (err)
        *err = first;
    return rv;
}

int image_lookup(struct runtime *rt, const char *ref, struct image *ret_image, struct err *err)
{
    struct index_image row;
    struct image image = {0};
    bool named;
    int rv = image_store_lookup(rt, ref, &row, &named, err);
    if (rv < 0)
        return rv;
    take_row(&row, &image);
    *ret_image = image;
    return 0;
}

int image_list(struct runtime *rt, struct image **ret_images, size_t *ret_n, struct err *err)
{
    struct index_image *rows;
    size_t n;
    int rv = index_names(rt->index, &rows, &n, err);
    if (rv < 0)
        return rv;
    struct image *images = mem_alloc(n + 1, sizeof(*images));
    for (size_t i = 0; i < n; i++) {
        bool unnamed = !rows[i].name;
        take_row(&rows[i], &images[i]);
        if (unnamed)
            images[i].name[0] = '\0';
    }
    index_images_free(rows, n);
    *ret_images = images;
    *ret_n = n;
    return 0;
}
