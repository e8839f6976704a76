/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_json - the documents of an image: index, manifest and config (OCI image specification, and
 * Docker's schema 2, which differs in its media types only).
 *
 * All of it comes from strangers: size, number of values and depth are limited before and while
 * parsing. Pure; any thread.
 */
#ifndef WHERRY_RUNTIME_IMAGE_JSON_H
#define WHERRY_RUNTIME_IMAGE_JSON_H

#include "runtime/image_name.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct image;
struct image_platform;

enum {
    IMAGE_DOCUMENT_MAX = 4 << 20, /* bytes of an index, a manifest or a config */
    IMAGE_LAYERS_MAX = 128,
    IMAGE_INDEX_MAX = 4096, /* manifests in an index */
};

#define IMAGE_TYPE_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define IMAGE_TYPE_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_TYPE_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define IMAGE_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

/* A blob that a document names. */
struct image_blob {
    char digest[IMAGE_DIGEST_SIZE];
    int64_t size;
};

/* A manifest: config and layers, lowest first. Holds no heap. */
struct image_manifest {
    struct image_blob config;
    struct image_blob layers[IMAGE_LAYERS_MAX];
    size_t layers_n;
    bool docker; /* of Docker's media type */
};

/* One line of an index. */
struct image_index_entry {
    struct image_blob blob;
    char *name; /* from its annotations, or NULL */
    char os[32];
    char architecture[32];
    char variant[32];
};

struct image_index {
    struct image_index_entry *entries;
    size_t n;
};

enum image_document {
    IMAGE_DOCUMENT_MANIFEST,
    IMAGE_DOCUMENT_INDEX,
};

/* Parse JSON within the limits; @what names it in errors. json_decref(*ret_root). */
int image_json_load(const char *what, const char *data, size_t len, json_t **ret_root,
                    struct err *err);

/* Say what @data is. ERR_UNSUPPORTED for schema 1, ERR_CORRUPT for neither or both. */
int image_document_kind(const char *data, size_t len, enum image_document *ret_kind,
                        struct err *err);

/* Parse a manifest. */
int image_manifest_parse(const char *data, size_t len, struct image_manifest *ret, struct err *err);

/* Parse an index; image_index_release frees. */
int image_index_parse(const char *data, size_t len, struct image_index *ret, struct err *err);

/* Free what @index holds and zero it. */
void image_index_release(struct image_index *index);

/* The entry of @index for this machine's kind, NULL when there is none. Entries without a platform
 * fit when they are the only one. Borrowed. */
const struct image_index_entry *image_index_choose(const struct image_index *index);

/* "amd64", "arm64"...: this machine in the words of images. Borrowed, one per thread. */
const char *image_host_architecture(void);

/* As image_index_choose for machines of the kind @platform. Of several variants that suit, the
 * newest; the first of equals. */
const struct image_index_entry *image_index_choose_for(const struct image_index *index,
                                                       const struct image_platform *platform);

/* ERR_UNSUPPORTED when the config @data is not for @platform (NULL: this machine's). One that does
 * not say is for any. */
int image_config_check(const char *data, size_t len, const struct image_platform *platform,
                       struct err *err);

/* Fill the fields of @ret_image that the config has, and the digests of its uncompressed layers,
 * whatever machine it is for. Release the image also on failure. */
int image_config_parse(const char *data, size_t len, struct image *ret_image,
                       char (*ret_diff_ids)[IMAGE_DIGEST_SIZE], size_t *ret_diff_ids_n,
                       struct err *err);

#endif
