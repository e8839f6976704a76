/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_prune - names, who uses an image, and what goes when nobody does.
 */
#include "runtime/image.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/image_store.h"
#include "runtime/image_sweep.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

#define GIB (1LL << 30)

/* --- containers -------------------------------------------------------------------------------
 */

/* Something may be unused now. */
static void collect_soon(struct runtime *rt)
{
    atomic_store(&index_content(rt->index)->garbage, true);
    image_store_collect(rt);
}

int image_hold(struct runtime *rt, const char *holder, const char *digest, struct err *err)
{
    return index_hold(rt->index, holder, digest, clock_wall_ms(), err);
}

int image_unhold(struct runtime *rt, const char *holder, struct err *err)
{
    int rv = index_unhold(rt->index, holder, clock_wall_ms(), err);
    if (rv == 0)
        collect_soon(rt);
    return rv;
}

void image_forget_lost(struct runtime *rt)
{
    char **holders;
    struct err err;
    if (index_holders(rt->index, NULL, &holders, &err) < 0) {
        log_warn("image", "what containers hold of images: %s", err.msg);
        return;
    }
    for (char **holder = holders; *holder; holder++) {
        cleanup_free char *dir = container_data_dir(rt, *holder);
        if (!file_exists(dir))
            image_unhold(rt, *holder, NULL);
    }
    image_strings_free(holders);
}

/* --- names ------------------------------------------------------------------------------------
 */

int image_tag(struct runtime *rt, const char *ref, const char *name, char **ret_name,
              struct err *err)
{
    struct image_ref parsed;
    struct index_image row;
    bool named;
    int rv = image_ref_parse(name, &parsed, err);
    if (rv < 0)
        return rv;
    if (parsed.digest[0])
        return err_set(err, ERR_INVALID, "%.100s: a new name has a tag, not a digest", name);
    if ((rv = image_store_lookup(rt, ref, &row, &named, err)) < 0)
        return rv;
    free(row.name);
    cleanup_free char *normal = image_ref_format(&parsed);
    if ((rv = index_tag(rt->index, normal, row.digest, clock_wall_ms(), err)) < 0)
        return rv;
    collect_soon(rt); /* what the name stood for before */
    *ret_name = steal(&normal);
    return 0;
}

/* The names that removing @row takes off. */
static int names_to_remove(struct runtime *rt, const char *ref, struct index_image *row, bool named,
                           char ***ret, struct err *err)
{
    if (!named) {
        int rv = index_names_of(rt->index, row->digest, ret, err);
        if (rv == 0 && !**ret) {
            image_strings_free(*ret);
            rv = err_set(err, ERR_BUSY,
                         "image %.100s has no name any more; it goes with the last "
                         "container that uses it",
                         ref);
        }
        return rv;
    }
    char **names = mem_alloc(2, sizeof(*names));
    names[0] = str_copy(row->name);
    *ret = names;
    return 0;
}

int image_remove(struct runtime *rt, const char *ref, char ***ret_names, struct err *err)
{
    struct index_image row;
    char **names;
    bool named;
    int rv = image_store_lookup(rt, ref, &row, &named, err);
    if (rv < 0)
        return rv;
    named = named && row.name;
    rv = names_to_remove(rt, ref, &row, named, &names, err);
    free(row.name);
    for (size_t i = 0; rv == 0 && names[i]; i++) {
        rv = index_name_remove(rt->index, names[i], err);
        if (rv == ERR_NOTFOUND && i > 0) /* it went with the one before */
            rv = 0;
    }
    if (rv == ERR_BUSY || rv == 0)
        collect_soon(rt);
    if (rv == 0 && ret_names)
        *ret_names = names;
    else
        image_strings_free(names);
    return rv;
}

/* --- what services need -----------------------------------------------------------------------
 */

int image_keep(struct runtime *rt, const char *const *refs, struct err *err)
{
    bool changed = false;
    for (size_t i = 0; refs && refs[i]; i++) {
        struct image_ref parsed;
        if (image_digest_valid(refs[i]))
            continue;
        int rv = image_ref_parse(refs[i], &parsed, err);
        if (rv < 0)
            return rv;
        cleanup_free char *normal = image_ref_format(&parsed);
        if (strcmp(normal, refs[i]) != 0)
            return err_set(err, ERR_INVALID, "%.80s: its full name is %.100s", refs[i], normal);
    }
    int rv = index_keep(rt->index, refs, &changed, err);
    if (rv == 0 && changed)
        collect_soon(rt);
    return rv;
}

/* --- collection -------------------------------------------------------------------------------
 */

void image_pruned_release(struct image_pruned *pruned)
{
    image_strings_free(pruned->images);
    *pruned = (struct image_pruned){0};
}

static void add(struct image_pruned *pruned, const struct index_image *image)
{
    pruned->images = mem_resize(pruned->images, pruned->n + 2, sizeof(char *));
    pruned->images[pruned->n++] = str_copy(image->name ? image->name : image->digest);
    pruned->images[pruned->n] = NULL;
}

/* Delete one image, if nobody came to use it meanwhile. With the lock. */
static int delete_image(struct runtime *rt, const struct index_image *image,
                        struct image_pruned *pruned, struct err *err)
{
    bool gone;
    int rv = index_drop(rt->index, image->digest, &gone, err);
    if (rv < 0 || !gone)
        return rv;
    pruned->bytes += image_sweep_garbage(rt);
    add(pruned, image);
    return 0;
}

/* Tell what deleting @images would give. */
static int forecast(struct runtime *rt, const struct index_image *images, size_t n,
                    struct image_pruned *pruned, struct err *err)
{
    struct index_garbage garbage;
    cleanup_free const char **digests = mem_alloc(n + 1, sizeof(*digests));
    for (size_t i = 0; i < n; i++) {
        digests[i] = images[i].digest;
        add(pruned, &images[i]);
    }
    int rv = index_forecast(rt->index, digests, n, &garbage, err);
    if (rv < 0)
        return rv;
    pruned->bytes += image_sweep_bytes(rt, &garbage);
    index_garbage_release(&garbage);
    return 0;
}

/* Leave those that have a user's name out. */
static size_t without_named(struct index_image *images, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct index_image image = images[i];
        if (image.named)
            continue;
        images[i] = images[kept];
        images[kept++] = image;
    }
    return kept;
}

static int prune(struct runtime *rt, bool all, bool dry_run, struct image_pruned *pruned,
                 struct err *err)
{
    struct index_image *images;
    size_t all_n;
    int rv = index_unused(rt->index, &images, &all_n, err);
    if (rv < 0)
        return rv;
    size_t n = all ? all_n : without_named(images, all_n);
    if (dry_run)
        rv = forecast(rt, images, n, pruned, err);
    for (size_t i = 0; rv == 0 && !dry_run && i < n; i++)
        rv = delete_image(rt, &images[i], pruned, err);
    index_images_free(images, all_n);
    if (rv == 0)
        rv = image_sweep_leftovers(rt, dry_run, &pruned->bytes, err);
    return rv;
}

int image_prune(struct runtime *rt, bool all, bool dry_run, struct image_pruned *ret_pruned,
                struct err *err)
{
    struct image_listener listener = {.label = "prune"};
    struct image_pruned pruned = {.images = mem_alloc(1, sizeof(char *))};
    int rv = image_store_begin(rt, &listener, err);
    if (rv == 0) {
        rv = prune(rt, all, dry_run, &pruned, err);
        image_store_end(rt);
    }
    if (rv < 0)
        image_pruned_release(&pruned);
    else
        *ret_pruned = pruned;
    return rv;
}

/* --- a short disk -----------------------------------------------------------------------------
 */

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Below it the disk is short: a tenth, at most 20 GiB; but at least 2 GiB, or a fifth of a small
 * disk. */
static int64_t low_mark(const struct image_disk *disk)
{
    int64_t share = min_of(disk->bytes / 10, 20 * GIB);
    int64_t floor = min_of(2 * GIB, disk->bytes / 5);
    return share > floor ? share : floor;
}

bool image_disk_is_short(const struct runtime *rt)
{
    struct image_disk disk = image_store_disk(rt);
    return disk.free < low_mark(&disk);
}

static int make_room(struct runtime *rt, int64_t min_age_ms, bool urgent,
                     struct image_pruned *pruned, struct err *err)
{
    struct image_disk disk = image_store_disk(rt);
    int64_t high = low_mark(&disk) * 3 / 2;
    int64_t now_ms = clock_wall_ms();
    bool all = urgent && disk.free >= high;
    struct index_image *images;
    size_t n;
    int rv = image_sweep_leftovers(rt, false, &pruned->bytes, err);
    if (rv < 0 || (rv = index_unused(rt->index, &images, &n, err)) < 0)
        return rv;
    for (size_t i = 0; rv == 0 && i < n; i++) {
        disk = image_store_disk(rt);
        if (!all && disk.free >= high)
            break;
        int64_t age_ms = now_ms - images[i].used_ms;
        if (age_ms >= 0 && age_ms < min_age_ms)
            continue;
        size_t before = pruned->n;
        int64_t bytes = pruned->bytes;
        rv = delete_image(rt, &images[i], pruned, err);
        if (rv == 0 && pruned->n > before)
            log_info("image", "the disk is short: removed unused image %s, %lld MB",
                     pruned->images[before], (long long)((pruned->bytes - bytes) / 1000000));
    }
    index_images_free(images, n);
    return rv;
}

int image_make_room(struct runtime *rt, int64_t min_age_ms, bool urgent,
                    struct image_pruned *ret_pruned, struct err *err)
{
    struct image_listener listener = {.label = "make room"};
    struct image_pruned pruned = {.images = mem_alloc(1, sizeof(char *))};
    int rv = 0;
    if (urgent || image_disk_is_short(rt)) {
        rv = image_store_begin(rt, &listener, err);
        if (rv == 0) {
            rv = make_room(rt, min_age_ms, urgent, &pruned, err);
            image_store_end(rt);
        }
    }
    if (rv < 0)
        image_pruned_release(&pruned);
    else
        *ret_pruned = pruned;
    return rv;
}

bool image_made_room(struct runtime *rt, int rv)
{
    struct image_pruned pruned;
    struct err err;
    bool short_disk = rv == ERR_NOSPACE || (rv == ERR_TOOBIG && image_disk_is_short(rt));
    if (!short_disk)
        return false;
    if (image_make_room(rt, 0, true, &pruned, &err) < 0) {
        log_warn("image", "cannot make room: %s", err.msg);
        return false;
    }
    bool made = pruned.n > 0;
    image_pruned_release(&pruned);
    return made;
}
