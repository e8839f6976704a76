/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_check - is everything on the disk what it was when it came?
 *
 * Blobs are compared with their digests, unpacked layers with the digest their tree had when they
 * were unpacked (image_tree.h), manifests with what the index says of their layers. A layer that an
 * older program unpacked has no digest: if its blob is whole it is unpacked anew beside it and the
 * two are compared.
 *
 * Reading takes no lock: pulls go on. What looks damaged is looked at again with the content lock,
 * for it may have been deleted meanwhile.
 */
#include "runtime/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_json.h"
#include "runtime/image_store.h"
#include "runtime/image_tree.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct checking {
    struct runtime *rt;
    struct image_listener listener;
    struct image_check *result;
    char text[160]; /* what is read now */
    int64_t shown;
};

void image_check_release(struct image_check *check)
{
    for (size_t i = 0; i < check->n; i++) {
        free(check->findings[i].image);
        free(check->findings[i].part);
        free(check->findings[i].problem);
        free(check->findings[i].users);
    }
    free(check->findings);
    *check = (struct image_check){0};
}

static bool on_bytes(void *arg, int64_t bytes)
{
    struct checking *c = arg;
    char text[200];
    if (!c->listener.progress)
        return true;
    snprintf(text, sizeof(text), "%.150s: %.1f MB", c->text, (double)bytes / 1e6);
    return c->listener.progress(c->listener.arg, text);
}

/* --- findings ---------------------------------------------------------------------------------
 */

/* "t3, t9": who runs on the image. */
static char *users_of(struct checking *c, const char *manifest)
{
    cleanup_buf struct buf text = BUF_INIT;
    char **holders;
    if (index_holders(c->rt->index, manifest, &holders, NULL) < 0)
        return str_copy("");
    for (size_t i = 0; holders[i]; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", holders[i]);
    image_strings_free(holders);
    return buf_take(&text);
}

static char *name_of(struct checking *c, const char *manifest)
{
    struct index_image row;
    if (index_manifest_find(c->rt->index, manifest, &row, NULL) < 0)
        return str_copy(manifest);
    return row.name ? row.name : str_copy(manifest);
}

static void add_finding(struct checking *c, const char *manifest, const char *part,
                        const char *problem, bool fatal)
{
    struct image_check *r = c->result;
    r->findings = mem_resize(r->findings, r->n + 1, sizeof(*r->findings));
    r->findings[r->n++] = (struct image_finding){.image = name_of(c, manifest),
                                                 .part = str_copy(part),
                                                 .problem = str_copy(problem),
                                                 .users = users_of(c, manifest),
                                                 .fatal = fatal};
}

/* The same for each image that has it. */
static void add_findings(struct checking *c, char *const *manifests, const char *part,
                         const char *problem, bool fatal)
{
    for (size_t i = 0; manifests[i]; i++)
        add_finding(c, manifests[i], part, problem, fatal);
}

/* --- blobs ------------------------------------------------------------------------------------
 */

enum state {
    WHOLE,
    MISSING,
    DAMAGED,
};

static int read_blob(struct checking *c, const char *digest, bool cold, enum state *ret,
                     struct err *err)
{
    char found[IMAGE_DIGEST_SIZE];
    struct err why;
    cleanup_free char *path = image_store_blob_path(c->rt, digest);
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *ret = MISSING;
    if (fd < 0 && errno == ENOENT)
        return 0;
    *ret = DAMAGED;
    if (fd < 0)
        return errno == ELOOP || errno == EIO ? 0 : err_errno(err, errno, "open %s", path);
    off_t size = lseek(fd, 0, SEEK_END);
    c->result->bytes += size > 0 ? size : 0;
    int rv = image_tree_file(fd, cold, on_bytes, c, found, &why);
    if (rv == ERR_CANCELED)
        return err_set(err, rv, "%s", why.msg);
    if (rv == 0 && strcmp(found, digest) == 0) /* what cannot be read is damaged as well */
        *ret = WHOLE;
    return 0;
}

/* With the lock: it may have been deleted, or come anew. */
static int confirm_blob(struct checking *c, const char *digest, struct err *err)
{
    char part[32 + IMAGE_DIGEST_SIZE];
    bool known = false;
    enum state state = WHOLE;
    char **manifests = NULL;
    int rv = index_blob_known(c->rt->index, digest, &known, err);
    if (rv == 0 && known)
        rv = read_blob(c, digest, true, &state, err);
    if (rv < 0 || !known || state == WHOLE)
        return rv;
    if ((rv = index_users_of_blob(c->rt->index, digest, &manifests, err)) < 0)
        return rv;
    cleanup_free char *path = image_store_blob_path(c->rt, digest);
    if (state == DAMAGED && unlink(path) < 0)
        rv = err_errno(err, errno, "delete the damaged blob %s", path);
    snprintf(part, sizeof(part), "blob %s", digest);
    add_findings(c, manifests, part, state == MISSING ? "missing" : "damaged, deleted", false);
    image_strings_free(manifests);
    return rv;
}

static int with_lock(struct checking *c,
                     int (*work)(struct checking *c, const char *digest, struct err *err),
                     const char *digest, struct err *err)
{
    int rv = image_store_begin(c->rt, &c->listener, err);
    if (rv < 0)
        return rv;
    rv = work(c, digest, err);
    image_store_end(c->rt);
    return rv;
}

static int check_blobs(struct checking *c, struct err *err)
{
    char **digests;
    int rv = index_blobs(c->rt->index, &digests, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; rv == 0 && digests[i]; i++) {
        enum state state;
        snprintf(c->text, sizeof(c->text), "check: blob %.19s...", digests[i]);
        rv = read_blob(c, digests[i], true, &state, err);
        c->result->blobs++;
        if (rv == 0 && state != WHOLE)
            rv = with_lock(c, confirm_blob, digests[i], err);
    }
    image_strings_free(digests);
    return rv;
}

/* --- layers -----------------------------------------------------------------------------------
 */

/* "" when the layer is what it was, else what is wrong with it. *@ret_tree: as it is now. */
static int read_layer(struct checking *c, const struct index_layer *layer, char **ret_problem,
                      struct image_tree *ret_tree, struct err *err)
{
    struct err why;
    cleanup_free char *path = image_store_layer_path(c->rt, layer->number);
    *ret_problem = str_copy("");
    if (!file_exists(path)) {
        free(*ret_problem);
        *ret_problem = str_copy("missing");
        return 0;
    }
    int rv = image_tree_read(path, true, INT64_MAX, INT64_MAX, on_bytes, c, ret_tree, &why);
    if (rv == ERR_CANCELED)
        return err_set(err, rv, "%s", why.msg);
    if (rv == 0 && (!layer->tree[0] || strcmp(ret_tree->digest, layer->tree) == 0))
        return 0;
    free(*ret_problem);
    *ret_problem = rv < 0 ? str_printf("damaged: %s", why.msg)
                          : str_copy("damaged: it is not what was unpacked");
    return 0;
}

/* With the lock. @chain_id: its number may be another by now. */
static int confirm_layer(struct checking *c, const char *chain_id, struct err *err)
{
    struct index_layer layer;
    struct image_tree tree;
    char **manifests = NULL;
    cleanup_free char *problem = NULL;
    int rv = index_layer_find(c->rt->index, chain_id, &layer, err);
    if (rv < 0 || !layer.number || (rv = read_layer(c, &layer, &problem, &tree, err)) < 0)
        return rv;
    if (!problem[0])
        return 0;
    rv = index_users_of_layer(c->rt->index, chain_id, &manifests, err);
    if (rv == 0)
        rv = index_layer_mark(c->rt->index, layer.number, err);
    if (rv == 0) {
        cleanup_free char *part = str_printf("layer folder %" PRId64, layer.number);
        add_findings(c, manifests, part, problem, true);
    }
    image_strings_free(manifests);
    return rv;
}

/* Unpack what an older program unpacked once more, and compare. With the lock. */
static int measure_layer(struct checking *c, const char *chain_id, struct err *err)
{
    struct index_layer layer;
    struct index_layer fresh = {0};
    struct image_tree tree;
    cleanup_free char *problem = NULL;
    char **manifests = NULL;
    struct err why;
    int rv = index_layer_find(c->rt->index, chain_id, &layer, err);
    if (rv < 0 || !layer.number || layer.tree[0])
        return rv;
    if ((rv = index_users_of_layer(c->rt->index, chain_id, &manifests, err)) < 0)
        return rv;
    int unpacked = manifests[0] ? image_store_unpack_again(c->rt, manifests[0], chain_id,
                                                           &c->listener, &fresh, &why)
                                : ERR_NOTFOUND;
    if (unpacked == ERR_CANCELED) {
        rv = err_set(err, unpacked, "%s", why.msg);
    } else if (unpacked < 0) {
        cleanup_free char *part = str_printf("layer folder %" PRId64, layer.number);
        cleanup_free char *text = str_printf("cannot be checked: %s", why.msg);
        add_findings(c, manifests, part, text, false);
    } else if ((rv = read_layer(c, &layer, &problem, &tree, err)) == 0 && !problem[0]) {
        fresh.number = layer.number;
        if (strcmp(tree.digest, fresh.tree) == 0)
            rv = index_layer_measure(c->rt->index, &fresh, err);
        else
            rv = index_layer_mark(c->rt->index, layer.number, err);
        if (rv == 0 && strcmp(tree.digest, fresh.tree) != 0) {
            cleanup_free char *part = str_printf("layer folder %" PRId64, layer.number);
            add_findings(c, manifests, part, "damaged: it is not what its blob holds", true);
        }
    }
    image_strings_free(manifests);
    return rv;
}

static int check_layer(struct checking *c, const struct index_layer *layer, struct err *err)
{
    struct image_tree tree = {0};
    cleanup_free char *problem = NULL;
    snprintf(c->text, sizeof(c->text), "check: layer folder %" PRId64, layer->number);
    c->result->layers++;
    int rv = read_layer(c, layer, &problem, &tree, err);
    c->result->bytes += tree.size;
    if (rv == 0 && (problem[0] || layer->damaged))
        return with_lock(c, confirm_layer, layer->chain_id, err);
    if (rv == 0 && !layer->tree[0])
        return with_lock(c, measure_layer, layer->chain_id, err);
    return rv;
}

static int check_layers(struct checking *c, struct err *err)
{
    struct index_layer *layers;
    size_t n;
    int rv = index_layers(c->rt->index, &layers, &n, err);
    for (size_t i = 0; rv == 0 && i < n; i++)
        rv = check_layer(c, &layers[i], err);
    if (n > 0)
        free(layers);
    return rv;
}

/* --- manifests --------------------------------------------------------------------------------
 */

/* The index against the documents: its layers are those that the config names, and all are there.
 */
static int check_manifest(struct checking *c, const char *digest, struct err *err)
{
    struct err why;
    struct image_details details;
    int rv = image_details(c->rt, digest, &details, &why);
    if (rv == ERR_NOTFOUND) /* removed meanwhile */
        return 0;
    c->result->images++;
    if (rv == 0) {
        cleanup_free struct index_layer *layers = NULL;
        char config[INDEX_DIGEST_SIZE];
        char chain[IMAGE_DIGEST_SIZE] = "";
        size_t n = 0;
        rv = index_manifest_layers(c->rt->index, digest, config, &layers, &n, &why);
        bool same = rv == 0 && strcmp(config, details.config_digest) == 0;
        for (size_t i = 0; same && i < n; i++) {
            cleanup_free char *part = str_printf("layer %zu of %zu", i + 1, n);
            image_store_next_chain(chain, str_or_empty(details.layers[i].diff_id));
            same = strcmp(chain, layers[i].chain_id) == 0;
            if (same && layers[i].number == 0)
                add_finding(c, digest, part, "missing", true);
        }
        if (rv == 0 && !same)
            add_finding(c, digest, "index", "does not say what the manifest says", true);
        image_details_release(&details);
        return rv < 0 && err ? err_set(err, rv, "%s", why.msg) : rv;
    }
    if (rv != ERR_CORRUPT)
        return err_set(err, rv, "%s", why.msg);
    add_finding(c, digest, "documents", why.msg, true);
    return 0;
}

static int check_manifests(struct checking *c, struct err *err)
{
    char **digests;
    int rv = index_manifests(c->rt->index, &digests, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; rv == 0 && digests[i]; i++)
        rv = check_manifest(c, digests[i], err);
    image_strings_free(digests);
    return rv;
}

/* --- repair -----------------------------------------------------------------------------------
 */

/* Are all blobs of the manifest here? */
static bool has_blobs(struct checking *c, const char *digest)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct image_manifest m;
    if (image_store_read(c->rt, digest, &text, NULL) < 0 ||
        image_manifest_parse(text.data, text.len, &m, NULL) < 0 ||
        !image_store_have(c->rt, m.config.digest, m.config.size))
        return false;
    for (size_t i = 0; i < m.layers_n; i++) {
        if (!image_store_have(c->rt, m.layers[i].digest, m.layers[i].size))
            return false;
    }
    return true;
}

/* Fetch the manifest's blobs by digest, from wherever one of its names says. */
static int fetch(struct checking *c, const char *digest, struct err *err)
{
    char **names;
    int rv = index_names_of(c->rt->index, digest, &names, err);
    if (rv < 0)
        return rv;
    rv = err_set(err, ERR_NOTFOUND, "it has no name to pull it by: load it again");
    for (size_t i = 0; rv < 0 && names[i]; i++) {
        struct image_ref ref;
        if (image_ref_parse(names[i], &ref, NULL) < 0)
            continue;
        cleanup_free char *pull = str_printf("%s/%s@%s", ref.registry, ref.repository, digest);
        rv = image_pull(c->rt, pull, NULL, c->listener.progress, c->listener.arg, err);
    }
    image_strings_free(names);
    return rv;
}

static int unpack_lost(struct checking *c, const char *digest, struct err *err)
{
    return image_store_install(c->rt, digest, NULL, false, &c->listener, err);
}

static int repair_image(struct checking *c, const char *digest, struct err *err)
{
    int rv = has_blobs(c, digest) ? 0 : fetch(c, digest, err);
    return rv < 0 ? rv : with_lock(c, unpack_lost, digest, err);
}

/* As repair_image() for a name or digest. */
static int repair_ref(struct checking *c, const char *ref, struct err *err)
{
    struct index_image row;
    bool named;
    int rv = image_store_lookup(c->rt, ref, &row, &named, err);
    if (rv < 0)
        return rv;
    free(row.name);
    return repair_image(c, row.digest, err);
}

int image_heal(struct runtime *rt, const char *ref, image_progress_cb progress, void *arg,
               struct err *err)
{
    struct checking c = {.rt = rt, .listener = {.label = ref, .progress = progress, .arg = arg}};
    int rv = repair_ref(&c, ref, err);
    return rv < 0 ? err_wrap(err, "heal %.100s", ref) : 0;
}

static int repair(struct checking *c, struct err *err)
{
    for (size_t i = 0; i < c->result->n; i++) {
        struct image_finding *f = &c->result->findings[i];
        struct err why;
        int rv = repair_ref(c, f->image, &why);
        if (rv == ERR_CANCELED)
            return err_set(err, rv, "%s", why.msg);
        f->repaired = rv == 0;
        if (rv < 0) {
            char *problem = str_printf("%s; not repaired: %s", f->problem, why.msg);
            free(f->problem);
            f->problem = problem;
        }
    }
    return 0;
}

int image_check(struct runtime *rt, bool with_repair, image_progress_cb progress, void *arg,
                struct image_check *ret_check, struct err *err)
{
    struct image_check result = {0};
    struct checking c = {.rt = rt,
                         .listener = {.label = "check", .progress = progress, .arg = arg},
                         .result = &result};
    int rv = index_integrity(rt->index, err);
    if (rv == 0)
        rv = check_blobs(&c, err);
    if (rv == 0)
        rv = check_layers(&c, err);
    if (rv == 0)
        rv = check_manifests(&c, err);
    if (rv == 0 && with_repair)
        rv = repair(&c, err);
    if (rv < 0)
        image_check_release(&result);
    else
        *ret_check = result;
    return rv;
}
