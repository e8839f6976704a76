/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/load.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/archive_files.h"
#include "runtime/fetch/report.h"
#include "runtime/image_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    INDEX_DEPTH_MAX = 4, /* indexes in indexes */
    DOCKER_IMAGES_MAX = 1024,
};

static void decref(json_t **root)
{
    json_decref(*root);
}
#define cleanup_json __attribute__((cleanup(decref)))

/* An image of the archive, to be reported once all of its blobs are. */
struct found {
    char digest[IMAGE_DIGEST_SIZE];
    char *name;
};

struct load {
    struct archive_files files;
    struct found *images;
    size_t images_n;
};

static void add_image(struct load *load, const char *digest, const char *name)
{
    load->images = mem_resize(load->images, load->images_n + 1, sizeof(*load->images));
    struct found *image = &load->images[load->images_n++];
    str_fill(image->digest, sizeof(image->digest), digest);
    image->name = str_copy(name);
}

/* Hand over what was found. Until here every file stayed where it can be read. */
static int report_all(struct load *load, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < load->files.n; i++) {
        const struct archive_file *file = &load->files.files[i];
        if (file->wanted)
            rv = report_blob(file->digest, file->size, file->name, err);
    }
    for (size_t i = 0; rv == 0 && i < load->images_n; i++)
        report_image(load->images[i].digest, load->images[i].name);
    return rv;
}

/* The file of an OCI layout that is @blob. */
static int find_blob(struct archive_files *files, const struct image_blob *blob,
                     struct archive_file **ret, struct err *err)
{
    char path[128] = "blobs/sha256/";
    str_fill(path + 13, sizeof(path) - 13, blob->digest + 7);
    struct archive_file *file = archive_files_find(files, path);
    if (!file)
        return err_set(err, ERR_CORRUPT, "the archive lacks %s", path);
    if (strcmp(file->digest, blob->digest) != 0 || file->size != blob->size)
        return err_set(err, ERR_CORRUPT,
                       "%s in the archive is damaged: it does not have the size and digest of its "
                       "name",
                       path);
    *ret = file;
    return 0;
}

static int want_manifest(struct archive_files *files, struct archive_file *file,
                         const char *content, size_t len, struct err *err)
{
    struct image_manifest m;
    struct archive_file *part;
    int rv = image_manifest_parse(content, len, &m, err);
    if (rv == 0 && (rv = find_blob(files, &m.config, &part, err)) == 0)
        part->wanted = true;
    for (size_t i = 0; rv == 0 && i < m.layers_n; i++) {
        if ((rv = find_blob(files, &m.layers[i], &part, err)) == 0)
            part->wanted = true;
    }
    file->wanted = true;
    return rv;
}

/* One entry of index.json: a manifest, or an index of several platforms' manifests. */
static int load_oci_image(struct load *load, const struct image_index_entry *entry, struct err *err)
{
    struct image_blob blob = entry->blob;
    for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
        cleanup_buf struct buf content = BUF_INIT;
        struct archive_file *file;
        enum image_document kind;
        int rv = find_blob(&load->files, &blob, &file, err);
        if (rv < 0 ||
            (rv = archive_file_content(&load->files, file, IMAGE_DOCUMENT_MAX, &content, err)) <
                0 ||
            (rv = image_document_kind(content.data, content.len, &kind, err)) < 0)
            return rv;
        if (kind == IMAGE_DOCUMENT_MANIFEST) {
            rv = want_manifest(&load->files, file, content.data, content.len, err);
            if (rv == 0)
                add_image(load, blob.digest, entry->name);
            return rv;
        }
        struct image_index index;
        if ((rv = image_index_parse(content.data, content.len, &index, err)) < 0)
            return rv;
        const struct image_index_entry *chosen = image_index_choose(&index);
        if (chosen)
            blob = chosen->blob;
        image_index_release(&index);
        if (!chosen)
            return err_set(err, ERR_UNSUPPORTED, "image %.100s in the archive has no linux/%s",
                           entry->name ? entry->name : blob.digest, image_host_architecture());
    }
    return err_set(err, ERR_CORRUPT, "the archive has indexes nested too deep");
}

static int load_oci(struct load *load, const struct archive_file *file, struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    struct image_index index;
    int rv = archive_file_content(&load->files, file, IMAGE_DOCUMENT_MAX, &content, err);
    if (rv == 0)
        rv = image_index_parse(str_or_empty(content.data), content.len, &index, err);
    if (rv < 0)
        return err_wrap(err, "index.json");
    bool named = false;
    for (size_t i = 0; i < index.n; i++)
        named |= index.entries[i].name != NULL;
    if (index.n == 0)
        rv = err_set(err, ERR_INVALID, "the archive holds no image");
    /* Nameless lines beside named ones are signatures and the like. */
    for (size_t i = 0; rv == 0 && i < index.n; i++) {
        if (!named || index.entries[i].name)
            rv = load_oci_image(load, &index.entries[i], err);
    }
    image_index_release(&index);
    return rv;
}

/* "docker save" stores layers as plain tars and has no manifest: one is made, always the same for
 * the same content. */
static int make_manifest(struct archive_files *files, json_t *line, struct archive_file **ret,
                         struct err *err)
{
    cleanup_buf struct buf json = BUF_INIT;
    json_t *layers = json_object_get(line, "Layers");
    const char *path = str_or_empty(json_string_value(json_object_get(line, "Config")));
    struct archive_file *file = archive_files_find(files, path);
    if (!file)
        return err_set(err, ERR_CORRUPT, "the archive lacks the config '%.100s'", path);
    if (json_array_size(layers) == 0 || json_array_size(layers) > IMAGE_LAYERS_MAX)
        return err_set(err, ERR_CORRUPT, "manifest.json names not 1 to %d layers",
                       IMAGE_LAYERS_MAX);
    file->wanted = true;
    buf_printf(&json,
               "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_TYPE_OCI_MANIFEST
               "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
               "\"digest\":\"%s\",\"size\":%lld},\"layers\":[",
               file->digest, (long long)file->size);
    for (size_t i = 0; i < json_array_size(layers); i++) {
        path = str_or_empty(json_string_value(json_array_get(layers, i)));
        if (!(file = archive_files_find(files, path)))
            return err_set(err, ERR_CORRUPT, "the archive lacks the layer '%.100s'", path);
        file->wanted = true;
        buf_printf(&json,
                   "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                   "\"size\":%lld}",
                   i ? "," : "", file->digest, (long long)file->size);
    }
    buf_puts(&json, "]}");
    return archive_files_add(files, "<manifest>", json.data, json.len, ret, err);
}

static int load_docker_image(struct load *load, json_t *line, struct err *err)
{
    struct archive_file *manifest;
    int rv = make_manifest(&load->files, line, &manifest, err);
    if (rv < 0)
        return rv;
    manifest->wanted = true;
    json_t *tags = json_object_get(line, "RepoTags");
    if (json_array_size(tags) == 0)
        add_image(load, manifest->digest, NULL);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (!tag)
            return err_set(err, ERR_CORRUPT, "manifest.json has a tag that is no text");
        add_image(load, manifest->digest, tag);
    }
    return 0;
}

static int load_docker(struct load *load, const struct archive_file *file, struct err *err)
{
    cleanup_buf struct buf content = BUF_INIT;
    cleanup_json json_t *root = NULL;
    int rv = archive_file_content(&load->files, file, IMAGE_DOCUMENT_MAX, &content, err);
    if (rv == 0)
        rv = image_json_load("manifest.json", str_or_empty(content.data), content.len, &root, err);
    if (rv < 0)
        return rv;
    size_t n = json_array_size(root);
    if (n == 0 || n > DOCKER_IMAGES_MAX)
        return err_set(err, ERR_CORRUPT, "manifest.json names not 1 to %d images",
                       DOCKER_IMAGES_MAX);
    for (size_t i = 0; rv == 0 && i < n; i++)
        rv = load_docker_image(load, json_array_get(root, i), err);
    return rv;
}

int load_archive(int fd, int ingest_fd, int64_t max_bytes, struct err *err)
{
    struct load load = {.files.ingest_fd = ingest_fd};
    int rv = archive_files_read(&load.files, fd, max_bytes, err);
    struct archive_file *index = archive_files_find(&load.files, "index.json");
    struct archive_file *docker = archive_files_find(&load.files, "manifest.json");
    if (rv == 0 && index)
        rv = load_oci(&load, index, err);
    else if (rv == 0 && docker)
        rv = load_docker(&load, docker, err);
    else if (rv == 0)
        rv = err_set(err, ERR_INVALID,
                     "it is no image archive: neither index.json (OCI layout) nor manifest.json "
                     "(docker save) is in it");
    if (rv == 0)
        rv = report_all(&load, err);
    for (size_t i = 0; i < load.images_n; i++)
        free(load.images[i].name);
    free(load.images);
    archive_files_release(&load.files);
    return rv;
}
