/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index - the durable table of what images and unpacked layers this machine has.
 *
 * SQLite at images/index.db (WAL, synchronous=FULL). A row is written only after the content it
 * speaks of was synced. Any thread; calls are serialized by a lock inside.
 *
 *     name      a reference, normalized, and the manifest it stands for
 *     manifest  an image whose blobs and layers are all here; stays without a name while held
 *     blob      the blobs a manifest needs: itself, its config, its compressed layers
 *     layer     an unpacked layer: chain id to the number that is its folder's name
 *     hold      a container and the manifest it was made from
 */
#ifndef WHERRY_RUNTIME_INDEX_H
#define WHERRY_RUNTIME_INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct index;

enum {
    INDEX_DIGEST_SIZE = 72, /* "sha256:", 64 digits, 0 */
};

/* A name and what it stands for. */
struct index_image {
    char *name;
    char digest[INDEX_DIGEST_SIZE];
    int64_t size_bytes;
    int64_t created_ms;
};

/* A layer of a manifest that is to be recorded. */
struct index_layer {
    char chain_id[INDEX_DIGEST_SIZE];
    char blob[INDEX_DIGEST_SIZE]; /* the compressed form */
    int64_t number;               /* its folder below images/layers */
};

/* A manifest that is to be recorded. Borrowed by index_record. */
struct index_manifest {
    char digest[INDEX_DIGEST_SIZE];
    char config[INDEX_DIGEST_SIZE];
    int64_t size_bytes;
    const struct index_layer *layers; /* lowest first */
    size_t layers_n;
};

/* What index_collect took off the index: files that nothing refers to any more. */
struct index_garbage {
    char (*blobs)[INDEX_DIGEST_SIZE];
    size_t blobs_n;
    int64_t *layers; /* numbers */
    size_t layers_n;
};

/* What those who change the content itself (blobs, layer folders) share. */
struct index_content {
    pthread_mutex_t lock; /* held while layers are unpacked, recorded or deleted */
    bool swept;           /* leftovers of earlier runs are gone; under the lock */
    int fetching;         /* pulls and loads that may rely on unrecorded blobs; under the lock */
    atomic_bool garbage;  /* index_collect may find something */
};

/* Open or make the index, with its folder. ERR_CORRUPT names the file when it is damaged. */
int index_open(const char *path, struct index **ret_index, struct err *err);

/* Close and free. NULL is fine. */
void index_close(struct index *index);

/* Its content lock. Borrowed. */
struct index_content *index_content(struct index *index);

/* Record @manifest, its layers and, when @name is not NULL, the name, in one transaction. A name
 * that stood for another manifest moves. */
int index_record(struct index *index, const struct index_manifest *manifest, const char *name,
                 int64_t now_ms, struct err *err);

/* What @name (normalized) stands for; free ret_image->name. ERR_NOTFOUND. */
int index_name_find(struct index *index, const char *name, struct index_image *ret_image,
                    struct err *err);

/* A manifest by digest; ret_image->name is one of its names or NULL; free it. ERR_NOTFOUND. */
int index_manifest_find(struct index *index, const char *digest, struct index_image *ret_image,
                        struct err *err);

/* All names in order. Free with index_images_free. */
int index_names(struct index *index, struct index_image **ret_images, size_t *ret_n,
                struct err *err);

/* Free an array as index_names gives it. */
void index_images_free(struct index_image *images, size_t n);

/* The config's digest and the layer numbers, lowest first (free *ret_numbers), of @digest. */
int index_manifest_layers(struct index *index, const char *digest,
                          char ret_config[INDEX_DIGEST_SIZE], int64_t **ret_numbers, size_t *ret_n,
                          struct err *err);

/* The number of the unpacked layer @chain_id, 0 when there is none. */
int index_layer_find(struct index *index, const char *chain_id, int64_t *ret_number,
                     struct err *err);

/* Forget the layer @number, whose folder was found damaged. */
int index_layer_forget(struct index *index, int64_t number, struct err *err);

/* True in *@ret_known when a recorded layer has @number. */
int index_layer_known(struct index *index, int64_t number, bool *ret_known, struct err *err);

/* The highest layer number recorded, 0 without layers. */
int index_layer_max(struct index *index, int64_t *ret_number, struct err *err);

/* True in *@ret_known when a recorded manifest needs blob @digest. */
int index_blob_known(struct index *index, const char *digest, bool *ret_known, struct err *err);

/* Take @name off. ERR_NOTFOUND; ERR_BUSY, naming a container, when it is the last name of a
 * manifest that is held. */
int index_name_remove(struct index *index, const char *name, struct err *err);

/* Note that container @holder uses manifest @digest; one manifest a holder. ERR_NOTFOUND. */
int index_hold(struct index *index, const char *holder, const char *digest, struct err *err);

/* Forget what @holder used. Fine when it held nothing. */
int index_unhold(struct index *index, const char *holder, struct err *err);

/* Take off every manifest that has neither name nor holder, and then the layers that no manifest
 * uses. The caller deletes the files named in *@ret_garbage, which index_garbage_release frees. */
int index_collect(struct index *index, struct index_garbage *ret_garbage, struct err *err);

/* Free what @garbage holds and zero it. */
void index_garbage_release(struct index_garbage *garbage);

#endif
