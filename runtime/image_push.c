/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_push - put images into registries.
 */
#include "runtime/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_helper.h"
#include "runtime/image_store.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "runtime/registry_settings.h"

#include <stdlib.h>
#include <string.h>

/* A push under way. */
struct push {
    struct runtime *rt;
    struct image_ref ref;
    char digest[IMAGE_DIGEST_SIZE];
    struct image_manifest manifest;
    struct registry_mount mounts[IMAGE_LAYERS_MAX + 1]; /* the strings are owned here */
    size_t mounts_n;
};

/* The helper's "digest DIGEST": the registry has it. */
static int on_digest(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                     struct err *err)
{
    const struct push *p = arg;
    (void)ret_answer;
    if (n != 2 || strcmp(words[0], "digest") != 0 || strcmp(words[1], p->digest) != 0)
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    return 0;
}

/* Another repository of the registry that has manifest @manifest, as the names here say. */
static char *repository_of(struct push *p, const char *manifest)
{
    char **names = NULL;
    char *found = NULL;
    if (index_names_of(p->rt->index, manifest, &names, NULL) < 0)
        return NULL;
    for (size_t i = 0; names[i] && !found; i++) {
        struct image_ref ref;
        if (image_ref_parse(names[i], &ref, NULL) == 0 &&
            strcmp(ref.registry, p->ref.registry) == 0 &&
            strcmp(ref.repository, p->ref.repository) != 0)
            found = str_copy(ref.repository);
    }
    image_strings_free(names);
    return found;
}

/* The registry may well have a blob that came from it. */
static void find_mount(struct push *p, const struct image_blob *blob)
{
    char **manifests = NULL;
    char *repository = NULL;
    if (index_users_of_blob(p->rt->index, blob->digest, &manifests, NULL) < 0)
        return;
    for (size_t i = 0; manifests[i] && !repository; i++)
        repository = repository_of(p, manifests[i]);
    image_strings_free(manifests);
    if (repository)
        p->mounts[p->mounts_n++] =
            (struct registry_mount){.digest = str_copy(blob->digest), .repository = repository};
}

static int check_blob(struct push *p, const struct image_blob *blob, struct err *err)
{
    if (!image_store_have(p->rt, blob->digest, blob->size))
        return err_set(err, ERR_CORRUPT,
                       "blob %.19s... of the image is missing here; pull or load it again",
                       blob->digest);
    find_mount(p, blob);
    return 0;
}

static int read_manifest(struct push *p, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct image_manifest *m = &p->manifest;
    int rv = image_store_read(p->rt, p->digest, &text, err);
    if (rv == 0)
        rv = image_manifest_parse(text.data, text.len, m, err);
    if (rv == 0)
        rv = check_blob(p, &m->config, err);
    for (size_t i = 0; rv == 0 && i < m->layers_n; i++)
        rv = check_blob(p, &m->layers[i], err);
    return rv;
}

static int run_helper(struct push *p, const struct image_push_options *options, const char *label,
                      struct err *err)
{
    cleanup_close int fd = -1;
    cleanup_free char *folder = str_printf("%s/images/blobs/sha256", p->rt->data_dir);
    cleanup_free char *name = image_ref_format(&p->ref);
    struct registry_wish wish = {.registry = p->ref.registry,
                                 .plain_http = options->plain_http,
                                 .manifest = p->digest,
                                 .mounts = p->mounts,
                                 .mounts_n = p->mounts_n};
    int rv = registry_settings(p->rt, &wish, &fd, err);
    if (rv < 0)
        return rv;
    const char *const argv[] = {"push", folder, "0", name, NULL};
    struct image_helper_job job = {.argv = argv,
                                   .input_fd = fd,
                                   .label = label,
                                   .progress = options->progress,
                                   .progress_arg = options->arg,
                                   .on_line = on_digest,
                                   .arg = p};
    return image_helper_run(p->rt, &job, err);
}

/* Find the image and hold it: its blobs must stay until they are sent. */
static int hold(struct push *p, const char *name, char *holder, struct err *err)
{
    struct index_image row;
    int rv = index_name_find(p->rt->index, name, &row, err);
    if (rv < 0)
        return rv;
    str_fill(p->digest, sizeof(p->digest), row.digest);
    free(row.name);
    return index_hold(p->rt->index, holder, p->digest, clock_wall_ms(), err);
}

int image_push(struct runtime *rt, const char *ref, const struct image_push_options *options,
               struct err *err)
{
    cleanup_free struct push *p = mem_alloc(1, sizeof(*p));
    unsigned char raw[8];
    char holder[8 + 2 * sizeof(raw) + 1] = "push ";
    p->rt = rt;
    int rv = image_ref_parse(ref, &p->ref, err);
    if (rv < 0)
        return rv;
    cleanup_free char *name = image_ref_format(&p->ref);
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), holder + strlen(holder));
    rv = hold(p, name, holder, err);
    if (rv == 0) {
        rv = read_manifest(p, err);
        if (rv == 0)
            rv = run_helper(p, options, ref, err);
        image_unhold(rt, holder, NULL);
    }
    for (size_t i = 0; i < p->mounts_n; i++) {
        free((char *)(uintptr_t)p->mounts[i].digest);
        free((char *)(uintptr_t)p->mounts[i].repository);
    }
    return rv < 0 ? err_wrap(err, "push %.100s", ref) : 0;
}
