/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/commit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/copy.h"
#include "runtime/freeze.h"
#include "runtime/image_json.h"
#include "runtime/image_store.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYER_TYPE  "application/vnd.oci.image.layer.v1.tar"
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"

enum {
    HASH_BYTES = 256 << 10,
};

/* A commit under way. */
struct work {
    struct runtime *rt;
    const char *id;
    const struct container_commit *commit;
    struct image_listener listener;
    char *ingest;
    struct image_blob layer;
    struct image_blob config;
    struct image_blob manifest;
};

static void decref(json_t **root)
{
    json_decref(*root);
}
#define cleanup_json __attribute__((cleanup(decref)))

/* --- the layer -------------------------------------------------------------------------------- */

static int hash_file(int fd, struct image_blob *ret, struct err *err)
{
    unsigned char raw[DIGEST_BYTES];
    struct digest *hash = digest_new();
    cleanup_free char *piece = mem_alloc(1, HASH_BYTES);
    ssize_t n = 0;
    ret->size = 0;
    while ((n = pread(fd, piece, HASH_BYTES, ret->size)) > 0) {
        digest_update(hash, piece, (size_t)n);
        ret->size += n;
    }
    int failed = errno;
    digest_final(hash, raw);
    if (n < 0)
        return err_errno(err, failed, "read the layer");
    memcpy(ret->digest, "sha256:", 7);
    hex_encode(raw, sizeof(raw), ret->digest + 7);
    return 0;
}

static int write_layer(struct work *w, int fd, struct err *err)
{
    struct container_state state;
    int rv = container_state(w->rt, w->id, &state, err);
    if (rv < 0)
        return rv;
    cleanup_free char *group = container_group(w->rt, w->id);
    bool freeze = state.status == CONTAINER_RUNNING && !state.paused && !w->commit->no_pause;
    if (freeze && (rv = freeze_group(w->rt, group, err)) < 0)
        return err_wrap(err, "pause it (--no-pause goes without)");
    rv = copy_layer(w->rt, w->id, fd, image_store_room(w->rt), w->listener.progress,
                    w->listener.arg, err);
    if (freeze)
        freeze_thaw(w->rt, group);
    return rv;
}

static int make_layer(struct work *w, struct err *err)
{
    cleanup_free char *path = str_printf("%s/layer", w->ingest);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "make %s", path);
    int rv = write_layer(w, fd, err);
    if (rv == 0)
        rv = hash_file(fd, &w->layer, err);
    if (rv == 0)
        rv = image_store_file(w->rt, w->ingest, "layer", w->layer.digest, w->layer.size, err);
    return rv;
}

/* --- the documents ---------------------------------------------------------------------------- */

static json_t *strings(const char *const *list)
{
    json_t *array = json_array();
    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

/* The object @key of @object, made if it is not there. Borrowed. */
static json_t *part(json_t *object, const char *key, json_t *fresh)
{
    json_t *there = json_object_get(object, key);
    if (there && json_typeof(there) == json_typeof(fresh)) {
        json_decref(fresh);
        return there;
    }
    json_object_set_new(object, key, fresh);
    return fresh;
}

static void set_env(json_t *config, const char *const *env)
{
    json_t *list = part(config, "Env", json_array());
    for (; env && *env; env++) {
        size_t key = strcspn(*env, "=") + 1, i = 0;
        while (i < json_array_size(list)) {
            const char *old = json_string_value(json_array_get(list, i));
            if (old && strncmp(old, *env, key) == 0)
                json_array_remove(list, i);
            else
                i++;
        }
        json_array_append_new(list, json_string(*env));
    }
}

static void set_labels(json_t *config, const char *const *labels)
{
    json_t *map = labels && *labels ? part(config, "Labels", json_object()) : NULL;
    for (; labels && *labels; labels++) {
        const char *equals = strchr(*labels, '=');
        cleanup_free char *key = str_printf("%.*s", (int)strcspn(*labels, "="), *labels);
        json_object_set_new(map, key, json_string(equals ? equals + 1 : ""));
    }
}

static void change_config(json_t *root, const struct work *w)
{
    const struct container_commit *c = w->commit;
    json_t *config = part(root, "config", json_object());
    char now[40];
    clock_format(clock_wall_ms(), now, sizeof(now));
    if (c->entrypoint) {
        json_object_set_new(config, "Entrypoint", strings(c->entrypoint));
        if (!c->command) /* the image's is for the image's entrypoint */
            json_object_del(config, "Cmd");
    }
    if (c->command)
        json_object_set_new(config, "Cmd", strings(c->command));
    if (c->working_dir)
        json_object_set_new(config, "WorkingDir", json_string(c->working_dir));
    if (c->user)
        json_object_set_new(config, "User", json_string(c->user));
    set_env(config, c->env);
    set_labels(config, c->labels);
    json_object_set_new(root, "created", json_string(now));
    if (c->author)
        json_object_set_new(root, "author", json_string(c->author));
    static const char *const of_docker[] = {"container", "container_config", "id", "parent"};
    for (size_t i = 0; i < ARRAY_SIZE(of_docker); i++)
        json_object_del(root, of_docker[i]);
    json_t *rootfs = part(root, "rootfs", json_object());
    json_array_append_new(part(rootfs, "diff_ids", json_array()), json_string(w->layer.digest));
    json_array_append_new(part(root, "history", json_array()),
                          json_pack("{s:s, s:s, s:s}", "created", now, "created_by",
                                    "wherry container commit", "comment",
                                    str_or_empty(c->message)));
}

static int file_document(struct work *w, const char *file, json_t *root, struct image_blob *ret,
                         struct err *err)
{
    cleanup_free char *text = json_dumps(root, JSON_COMPACT);
    cleanup_free char *path = str_printf("%s/%s", w->ingest, file);
    unsigned char raw[DIGEST_BYTES];
    if (!text)
        return err_set(err, ERR_INVALID, "a value for the image's config is not valid UTF-8");
    size_t len = strlen(text);
    if (len > IMAGE_DOCUMENT_MAX)
        return err_set(err, ERR_TOOBIG, "the image's config would be larger than %d bytes",
                       IMAGE_DOCUMENT_MAX);
    digest_of(text, len, raw);
    memcpy(ret->digest, "sha256:", 7);
    hex_encode(raw, sizeof(raw), ret->digest + 7);
    ret->size = (int64_t)len;
    int rv = file_write_fast(path, text, len, 0600, err);
    return rv < 0 ? rv : image_store_file(w->rt, w->ingest, file, ret->digest, ret->size, err);
}

/* Docker's names for layers in the words of OCI: a manifest is of one kind. */
static void set_layer_type(json_t *layer)
{
    const char *type = str_or_empty(json_string_value(json_object_get(layer, "mediaType")));
    if (str_starts(type, "application/vnd.oci."))
        return;
    const char *more = strstr(type, "gzip") ? "+gzip" : strstr(type, "zstd") ? "+zstd" : "";
    cleanup_free char *oci = str_printf(LAYER_TYPE "%s", more);
    json_object_set_new(layer, "mediaType", json_string(oci));
}

static int make_documents(struct work *w, const char *base, struct err *err)
{
    cleanup_buf struct buf old_manifest = BUF_INIT, old_config = BUF_INIT;
    cleanup_json json_t *root = NULL;
    cleanup_json json_t *config = NULL;
    cleanup_json json_t *manifest = NULL;
    struct image_manifest parsed;
    int rv = image_store_read(w->rt, base, &old_manifest, err);
    if (rv < 0 ||
        (rv = image_manifest_parse(old_manifest.data, old_manifest.len, &parsed, err)) < 0 ||
        (rv = image_store_read(w->rt, parsed.config.digest, &old_config, err)) < 0 ||
        (rv = image_json_load("manifest", old_manifest.data, old_manifest.len, &root, err)) < 0 ||
        (rv = image_json_load("config", old_config.data, old_config.len, &config, err)) < 0)
        return rv;
    if (parsed.layers_n >= IMAGE_LAYERS_MAX)
        return err_set(err, ERR_TOOBIG, "the image has %zu layers already, the limit is %d",
                       parsed.layers_n, IMAGE_LAYERS_MAX);
    change_config(config, w);
    if ((rv = file_document(w, "config", config, &w->config, err)) < 0)
        return rv;
    json_t *layers = json_deep_copy(json_object_get(root, "layers"));
    size_t i;
    json_t *layer;
    json_array_foreach (layers, i, layer)
        set_layer_type(layer);
    json_array_append_new(layers, json_pack("{s:s, s:s, s:I}", "mediaType", LAYER_TYPE, "digest",
                                            w->layer.digest, "size", (json_int_t)w->layer.size));
    manifest = json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o}", "schemaVersion", 2, "mediaType",
                         IMAGE_TYPE_OCI_MANIFEST, "config", "mediaType", CONFIG_TYPE, "digest",
                         w->config.digest, "size", (json_int_t)w->config.size, "layers", layers);
    return file_document(w, "manifest", manifest, &w->manifest, err);
}

/* --- all -------------------------------------------------------------------------------------- */

static int make_image(struct work *w, const char *name, struct err *err)
{
    cleanup_record struct container_record record = {0};
    int rv = container_record_load(w->rt, w->id, &record, err);
    if (rv == 0)
        rv = make_layer(w, err);
    if (rv == 0)
        rv = make_documents(w, record.image_digest, err);
    if (rv < 0 || (rv = image_store_begin(w->rt, &w->listener, err)) < 0)
        return rv;
    rv = image_store_install(w->rt, w->manifest.digest, name, true, &w->listener, err);
    image_store_end(w->rt);
    return rv;
}

int container_commit(struct runtime *rt, const char *id, const struct container_commit *commit,
                     image_progress_cb progress, void *arg, char ret_digest[72], char **ret_name,
                     struct err *err)
{
    unsigned char raw[8];
    char hex[2 * sizeof(raw) + 1];
    cleanup_free char *name = NULL;
    struct work w = {.rt = rt,
                     .id = id,
                     .commit = commit,
                     .listener = {.label = id, .progress = progress, .arg = arg}};
    int rv = image_name_parse(commit->name, &name, err);
    if (rv == 0 && strchr(name, '@'))
        rv = err_set(err, ERR_INVALID, "%.100s: a digest cannot be given to an image", name);
    if (rv < 0)
        return rv;
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), hex);
    if ((rv = image_store_fetch_begin(rt, &w.listener, err)) < 0)
        return rv;
    w.ingest = str_printf("%s/images/ingest/load-%s", rt->data_dir, hex);
    if (mkdir(w.ingest, 0700) < 0)
        rv = err_errno(err, errno, "make folder %s", w.ingest);
    if (rv == 0)
        rv = make_image(&w, name, err);
    file_remove_tree(w.ingest, NULL);
    image_store_fetch_end(rt);
    free(w.ingest);
    if (rv < 0)
        return err_wrap(err, "commit container %s", id);
    str_fill(ret_digest, IMAGE_DIGEST_SIZE, w.manifest.digest);
    *ret_name = steal(&name);
    return 0;
}
