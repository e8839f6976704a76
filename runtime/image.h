/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image - the images of one machine: names to manifests to unpacked layers.
 *
 * References are Docker's: "nginx", "nginx:1.2", "127.0.0.1:5000/team/app@sha256:…". A name without
 * a host is read as "docker.io/library/NAME", without tag ":latest" (distribution's reference
 * grammar). Content comes from registries (OCI distribution specification) and from OCI layout and
 * docker archives; both are read by the confined program wherry-image, never in this process.
 *
 * An image is listed only once every blob is verified, every layer unpacked and all of it synced.
 */
#ifndef WHERRY_RUNTIME_IMAGE_H
#define WHERRY_RUNTIME_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

/* What the index and the image's config say (OCI image specification, config.md). */
struct image {
    char *name;         /* as listed, normalized: "docker.io/library/nginx:1.2" */
    char *digest;       /* of the manifest, "sha256:HEX": the identity of the bits */
    int64_t size_bytes; /* of config and compressed layers */
    int64_t created_ms; /* when it came to this machine, wall clock */
    char **entrypoint;  /* NULL-terminated or NULL */
    char **cmd;         /* likewise */
    char **env;         /* "K=V" */
    char **volumes;     /* declared mount points */
    char **exposed;     /* "80/tcp" */
    char *user;         /* "", "nginx", "1000:1000" */
    char *working_dir;  /* "" means "/" */
    char *stop_signal;  /* "" means SIGTERM */
    char **layer_dirs;  /* absolute folders of the unpacked layers, lowest first */
};

/* Free what @image holds and zero it. */
void image_release(struct image *image);

/* Free an array as image_list gives it. */
void image_list_free(struct image *images, size_t n);

/* Write the normalized form of @ref to *@ret_name (the caller frees it). ERR_INVALID says what is
 * wrong with it. Pure. */
int image_name_parse(const char *ref, char **ret_name, struct err *err);

/* Find @ref (a name, or "sha256:HEX" of a manifest) with its config. ERR_NOTFOUND if this machine
 * does not have it whole. */
int image_find(struct runtime *rt, const char *ref, struct image *ret_image, struct err *err);

/* All images by name, without what their configs say. */
int image_list(struct runtime *rt, struct image **ret_images, size_t *ret_n, struct err *err);

/* Progress of a pull or a load, from the calling thread, some times a second. @text is for people:
 * "nginx:1.2: 12.4 of 25.0 MB". Return false to cancel. */
typedef bool (*image_progress_cb)(void *arg, const char *text);

/* Fetch @ref from its registry, unpack it and list it. Registries on loopback, those of the
 * runtime's configuration and those named in @plain_http (NULL-terminated "host:port" list, may be
 * NULL) are spoken to over plain HTTP, any
 * other is ERR_UNSUPPORTED. Finished blobs are kept when it fails, so that a retry resumes.
 * @progress may be NULL. */
int image_pull(struct runtime *rt, const char *ref, const char *const *plain_http,
               image_progress_cb progress, void *arg, struct err *err);

/* Load every image of the OCI layout or docker archive (plain, gzip or zstd tar) at @path.
 * @ret_names gets a NULL-terminated array of the normalized names, which the caller frees. An
 * archive without names is ERR_INVALID unless @name gives one. */
int image_load(struct runtime *rt, const char *path, const char *name, char ***ret_names,
               image_progress_cb progress, void *arg, struct err *err);

/* Note, durably, that container @holder is made from the manifest @digest ("sha256:HEX", as in
 * struct image): its content stays, and its last name too, until image_unhold. One manifest a
 * holder. Hold before you rely on the layer folders of an image_find. ERR_NOTFOUND. */
int image_hold(struct runtime *rt, const char *holder, const char *digest, struct err *err);

/* Forget what @holder holds; content that is then unused is deleted. Fine when it holds nothing. */
int image_unhold(struct runtime *rt, const char *holder, struct err *err);

/* Take the name off; content that no image and no container uses is deleted. ERR_BUSY while a
 * container uses its last name. */
int image_remove(struct runtime *rt, const char *ref, struct err *err);

/* Free a NULL-terminated array of strings. NULL is fine. */
void image_strings_free(char **strings);

#endif
