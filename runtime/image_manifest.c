/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_json.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/platform.h"

#include <stdlib.h>
#include <string.h>

enum {
    JSON_VALUES_MAX = 65536,
};

static void decref(json_t **root)
{
    json_decref(*root);
}
#define cleanup_json __attribute__((cleanup(decref)))

/* An upper bound of the number of values: what jansson will allocate for. */
static size_t count_values(const char *data, size_t len)
{
    size_t n = 1;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (data[i] == '\\')
                i++;
            else if (data[i] == '"')
                in_string = false;
        } else if (data[i] == '"') {
            in_string = true;
        } else if (strchr("[{,", data[i])) {
            n++;
        }
    }
    return n;
}

int image_json_load(const char *what, const char *data, size_t len, json_t **ret_root,
                    struct err *err)
{
    if (len > IMAGE_DOCUMENT_MAX)
        return err_set(err, ERR_TOOBIG, "%s has %zu bytes, the limit is %d", what, len,
                       IMAGE_DOCUMENT_MAX);
    if (count_values(data, len) > JSON_VALUES_MAX)
        return err_set(err, ERR_TOOBIG, "%s has more than %d values", what, JSON_VALUES_MAX);
    json_error_t at;
    json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return err_set(err, ERR_CORRUPT, "%s is no JSON: line %d: %s", what, at.line, at.text);
    *ret_root = root;
    return 0;
}

static const char *string_of(json_t *object, const char *key)
{
    return str_or_empty(json_string_value(json_object_get(object, key)));
}

int image_document_kind(const char *data, size_t len, enum image_document *ret_kind,
                        struct err *err)
{
    cleanup_json json_t *root = NULL;
    int rv = image_json_load("manifest", data, len, &root, err);
    if (rv < 0)
        return rv;
    bool index = json_object_get(root, "manifests");
    bool manifest = json_object_get(root, "layers") || json_object_get(root, "config");
    if (json_integer_value(json_object_get(root, "schemaVersion")) == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "the image has a manifest of schema version 1; push it again with a newer "
                       "tool");
    if (index == manifest)
        return err_set(err, ERR_CORRUPT, "the document is neither a manifest nor an index");
    *ret_kind = index ? IMAGE_DOCUMENT_INDEX : IMAGE_DOCUMENT_MANIFEST;
    return 0;
}

static int parse_blob(json_t *object, const char *what, struct image_blob *ret, struct err *err)
{
    const char *digest = string_of(object, "digest");
    json_t *size = json_object_get(object, "size");
    if (str_starts(digest, "sha512:"))
        return err_set(err, ERR_UNSUPPORTED, "%s has a digest other than sha256", what);
    if (!image_digest_valid(digest))
        return err_set(err, ERR_CORRUPT, "%s has no valid digest", what);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return err_set(err, ERR_CORRUPT, "%s has no valid size", what);
    str_fill(ret->digest, sizeof(ret->digest), digest);
    ret->size = json_integer_value(size);
    return 0;
}

/* "application/vnd.oci.image.layer.v1.tar+gzip", "...docker.image.rootfs.diff.tar.gzip". */
static int check_layer_type(json_t *layer, struct err *err)
{
    const char *type = string_of(layer, "mediaType");
    if (strstr(type, "foreign") || strstr(type, "nondistributable"))
        return err_set(err, ERR_UNSUPPORTED,
                       "the image has a layer that its registry may not give away (%.80s)", type);
    if (type[0] && !strstr(type, "tar"))
        return err_set(err, ERR_UNSUPPORTED, "the image has a layer of type %.100s, not a tar",
                       type);
    return 0;
}

int image_manifest_parse(const char *data, size_t len, struct image_manifest *ret, struct err *err)
{
    cleanup_json json_t *root = NULL;
    struct image_manifest m = {0};
    int rv = image_json_load("manifest", data, len, &root, err);
    if (rv < 0)
        return rv;
    if (json_object_get(root, "manifests"))
        return err_set(err, ERR_CORRUPT, "the manifest is an index as well");
    json_t *config = json_object_get(root, "config");
    if ((rv = parse_blob(config, "the manifest's config", &m.config, err)) < 0)
        return rv;
    if (m.config.size > IMAGE_DOCUMENT_MAX)
        return err_set(err, ERR_TOOBIG, "the image's config has %lld bytes, the limit is %d",
                       (long long)m.config.size, IMAGE_DOCUMENT_MAX);
    json_t *layers = json_object_get(root, "layers");
    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return err_set(err, ERR_CORRUPT, "the manifest has no layers");
    if (json_array_size(layers) > IMAGE_LAYERS_MAX)
        return err_set(err, ERR_TOOBIG, "the image has %zu layers, the limit is %d",
                       json_array_size(layers), IMAGE_LAYERS_MAX);
    size_t i;
    json_t *layer;
    json_array_foreach (layers, i, layer) {
        if ((rv = check_layer_type(layer, err)) < 0 ||
            (rv = parse_blob(layer, "a layer of the manifest", &m.layers[i], err)) < 0)
            return rv;
    }
    m.layers_n = json_array_size(layers);
    m.docker = str_equal(string_of(root, "mediaType"), IMAGE_TYPE_DOCKER_MANIFEST);
    *ret = m;
    return 0;
}

/* The name that an archive's index gives an image: containerd's key is a full reference, the
 * specification's may be one. */
static char *entry_name(json_t *entry)
{
    json_t *annotations = json_object_get(entry, "annotations");
    const char *name = string_of(annotations, "io.containerd.image.name");
    if (!name[0])
        name = string_of(annotations, "org.opencontainers.image.ref.name");
    return name[0] ? str_copy(name) : NULL;
}

int image_index_parse(const char *data, size_t len, struct image_index *ret, struct err *err)
{
    cleanup_json json_t *root = NULL;
    int rv = image_json_load("image index", data, len, &root, err);
    if (rv < 0)
        return rv;
    json_t *manifests = json_object_get(root, "manifests");
    if (!json_is_array(manifests) || json_object_get(root, "layers"))
        return err_set(err, ERR_CORRUPT, "the document is no image index");
    if (json_array_size(manifests) > IMAGE_INDEX_MAX)
        return err_set(err, ERR_TOOBIG, "the image index has more than %d entries",
                       IMAGE_INDEX_MAX);
    struct image_index index = {0};
    index.entries = mem_alloc(json_array_size(manifests) + 1, sizeof(*index.entries));
    size_t i;
    json_t *entry;
    json_array_foreach (manifests, i, entry) {
        struct image_index_entry *e = &index.entries[index.n];
        if ((rv = parse_blob(entry, "an entry of the image index", &e->blob, err)) < 0) {
            image_index_release(&index);
            return rv;
        }
        json_t *platform = json_object_get(entry, "platform");
        str_fill(e->os, sizeof(e->os), string_of(platform, "os"));
        str_fill(e->architecture, sizeof(e->architecture), string_of(platform, "architecture"));
        str_fill(e->variant, sizeof(e->variant), string_of(platform, "variant"));
        e->name = entry_name(entry);
        index.n++;
    }
    *ret = index;
    return 0;
}

void image_index_release(struct image_index *index)
{
    for (size_t i = 0; i < index->n; i++)
        free(index->entries[i].name);
    free(index->entries);
    *index = (struct image_index){0};
}

const struct image_index_entry *image_index_choose_for(const struct image_index *index,
                                                       const struct image_platform *platform)
{
    const struct image_index_entry *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < index->n; i++) {
        const struct image_index_entry *e = &index->entries[i];
        int rank = image_platform_rank(platform, e->os, e->architecture, e->variant);
        if (rank > best_rank) {
            best = e;
            best_rank = rank;
        }
    }
    if (!best && index->n == 1 && !index->entries[0].os[0])
        best = &index->entries[0];
    return best;
}

const struct image_index_entry *image_index_choose(const struct image_index *index)
{
    struct image_platform host;
    image_platform_host(&host);
    return image_index_choose_for(index, &host);
}

const char *image_host_architecture(void)
{
    static _Thread_local struct image_platform host;
    image_platform_host(&host);
    return host.architecture;
}
