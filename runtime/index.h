/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index - the durable table of what images and unpacked layers this machine has.
 *
 * SQLite at images/index.db (WAL, synchronous=FULL), open in one process at a time: another one
 * waits for five seconds, then fails. A row is written only after the content it speaks of was
 * synced. Any thread; calls are serialized by a lock inside.
 *
 *     name      a reference, normalized, and the manifest it stands for
 *     manifest  an image whose blobs and layers are all here; stays without a name while held
 *     blob      the blobs a manifest needs: itself, its config, its compressed layers, and the
 *               index that a name of it is the digest of
 *     layer     an unpacked layer: chain id to the number that is its folder's name, with the
 *               digest its tree had when it was unpacked (image_tree.h)
 *     hold      a container and the manifest it was made from
 *     replaced  the folder of a layer that was found damaged and unpacked anew, and a container
 *               that was made from it before: it stays as long as that
 *     keep      references that services need, running here or not
 */
#ifndef WHERRY_RUNTIME_INDEX_H
#define WHERRY_RUNTIME_INDEX_H

#include "runtime/image_flight.h"

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
    int64_t used_ms; /* a container was last made from it or removed, or it was fetched */
    int64_t holders; /* containers made from it */
    bool kept;       /* services need it */
    bool damaged;    /* a layer is gone or was found damaged: it cannot be run */
    bool named;      /* it has a name other than "...@sha256:..." */
    bool loaded;     /* a name of it came from an archive */
};

/* A layer of a manifest. */
struct index_layer {
    char chain_id[INDEX_DIGEST_SIZE];
    char blob[INDEX_DIGEST_SIZE]; /* the compressed form; for index_record() */
    char tree[INDEX_DIGEST_SIZE]; /* of the unpacked tree (image_tree.h), "" when not known */
    int64_t number;               /* its folder below images/layers; 0: it is gone */
    int64_t bytes;                /* on the disk, 0 when not known */
    int64_t entries;
    bool damaged; /* found not to be what was unpacked */
};

/* A manifest that is to be recorded. Borrowed by index_record. */
struct index_manifest {
    char digest[INDEX_DIGEST_SIZE];
    char config[INDEX_DIGEST_SIZE];
    char index[INDEX_DIGEST_SIZE]; /* of the image index it was chosen from, whose blob is here; ""
                                    */
    int64_t size_bytes;
    const struct index_layer *layers; /* lowest first */
    size_t layers_n;
    bool loaded; /* from an archive */
};

/* What index_collect took off the index: files that nothing refers to any more. */
struct index_garbage {
    char (*blobs)[INDEX_DIGEST_SIZE];
    size_t blobs_n;
    int64_t *layers;      /* numbers */
    int64_t *layer_bytes; /* of each on the disk, 0 when not known */
    size_t layers_n;
};

/* What those who change the content itself (blobs, layer folders) share. */
struct index_content {
    pthread_mutex_t lock; /* held while layers are unpacked, recorded or deleted */
    bool swept;           /* leftovers of earlier runs are gone; under the lock */
    atomic_bool garbage;  /* index_collect may find something */
    struct image_flight flight;
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

/* Have @name stand for the manifest @digest, too. ERR_NOTFOUND. */
int index_tag(struct index *index, const char *name, const char *digest, int64_t now_ms,
              struct err *err);

/* What @name (normalized) stands for; free ret_image->name. ERR_NOTFOUND. */
int index_name_find(struct index *index, const char *name, struct index_image *ret_image,
                    struct err *err);

/* A manifest by digest; ret_image->name is one of its names or NULL; free it. ERR_NOTFOUND. */
int index_manifest_find(struct index *index, const char *digest, struct index_image *ret_image,
                        struct err *err);

/* Manifests whose digest begins with "sha256:" and the hexadecimal @digits. */
int index_prefix(struct index *index, const char *digits, struct index_image **ret_images,
                 size_t *ret_n, struct err *err);

/* Names of the manifest @digest in order; free with image_strings_free(). */
int index_names_of(struct index *index, const char *digest, char ***ret_names, struct err *err);

/* Manifests that no container holds and no service needs, those from registries first, then those
 * not used for the longest time. */
int index_unused(struct index *index, struct index_image **ret_images, size_t *ret_n,
                 struct err *err);

/* All names in order, then manifests without one. Free with index_images_free. */
int index_names(struct index *index, struct index_image **ret_images, size_t *ret_n,
                struct err *err);

/* Free an array as index_names gives it. */
void index_images_free(struct index_image *images, size_t n);

/* The config's digest and the layers, lowest first (free *ret_layers), of @digest. */
int index_manifest_layers(struct index *index, const char *digest,
                          char ret_config[INDEX_DIGEST_SIZE], struct index_layer **ret_layers,
                          size_t *ret_n, struct err *err);

/* --- layers and blobs (index_layer.c) --------------------------------------------------------- */

/* The unpacked layer @chain_id; its number is 0 when there is none. */
int index_layer_find(struct index *index, const char *chain_id, struct index_layer *ret,
                     struct err *err);

/* Forget the layer @number, which is gone or damaged. *@ret_in_use: a container was made from it,
 * so its folder stays until that is removed; else the caller deletes it. */
int index_layer_replace(struct index *index, int64_t number, bool *ret_in_use, struct err *err);

/* Note that the layer @number is damaged. */
int index_layer_mark(struct index *index, int64_t number, struct err *err);

/* Note digest and size of the tree @layer->number, which an older program unpacked. */
int index_layer_measure(struct index *index, const struct index_layer *layer, struct err *err);

/* All layers by number. Free *ret_layers. */
int index_layers(struct index *index, struct index_layer **ret_layers, size_t *ret_n,
                 struct err *err);

/* True in *@ret_known when a layer recorded, or replaced and in use, has @number. */
int index_layer_known(struct index *index, int64_t number, bool *ret_known, struct err *err);

/* The highest number of those, 0 without layers. */
int index_layer_max(struct index *index, int64_t *ret_number, struct err *err);

/* True in *@ret_known when a recorded manifest needs blob @digest. */
int index_blob_known(struct index *index, const char *digest, bool *ret_known, struct err *err);

/* The digests of all blobs, or of all manifests; free with image_strings_free(). */
int index_blobs(struct index *index, char ***ret_digests, struct err *err);
int index_manifests(struct index *index, char ***ret_digests, struct err *err);

/* The manifests that need a blob or a layer; free likewise. */
int index_users_of_blob(struct index *index, const char *digest, char ***ret_manifests,
                        struct err *err);
int index_users_of_layer(struct index *index, const char *chain_id, char ***ret_manifests,
                         struct err *err);

/* ERR_CORRUPT when the file itself is damaged (PRAGMA quick_check). */
int index_integrity(struct index *index, struct err *err);

/* --- use (index_use.c) ------------------------------------------------------------------------ */

/* Take @name off. ERR_NOTFOUND; ERR_BUSY, naming a container, when it is the last name of a
 * manifest that is held. When it was the last that a user gave, the names by digest go as well, and
 * services do not keep the manifest any more. */
int index_name_remove(struct index *index, const char *name, struct err *err);

/* Take all names off the manifest @digest if nobody holds or needs it: *@ret_gone. */
int index_drop(struct index *index, const char *digest, bool *ret_gone, struct err *err);

/* Note that @holder uses manifest @digest; one manifest a holder. ERR_NOTFOUND. */
int index_hold(struct index *index, const char *holder, const char *digest, int64_t now_ms,
               struct err *err);

/* Forget what @holder used. Fine when it held nothing. */
int index_unhold(struct index *index, const char *holder, int64_t now_ms, struct err *err);

/* All holders, or those of one manifest; free with image_strings_free(). */
int index_holders(struct index *index, const char *digest, char ***ret_holders, struct err *err);

/* Replace the references (names, digests of manifests) that services need; NULL-terminated.
 * *@ret_changed: they were others. */
int index_keep(struct index *index, const char *const *refs, bool *ret_changed, struct err *err);

/* Take off every manifest that has neither name nor holder and that no service needs, and then the
 * layers that no manifest uses. The caller deletes the files named in *@ret_garbage, which
 * index_garbage_release frees. */
int index_collect(struct index *index, struct index_garbage *ret_garbage, struct err *err);

/* What index_collect() would give after index_drop() of @digests. Nothing changes. */
int index_forecast(struct index *index, const char *const *digests, size_t n,
                   struct index_garbage *ret_garbage, struct err *err);

/* Free what @garbage holds and zero it. */
void index_garbage_release(struct index_garbage *garbage);

#endif
