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
 *
 * What is on this machine only because something asked for it goes again when the disk gets short:
 * images that no container is made from and that image_keep() does not name. docs/runtime.md
 * describes what is on disk and what stays when.
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
    int64_t used_ms;    /* when it came, or a container was last made from it or removed */
    int64_t containers; /* made from it */
    bool kept;          /* image_keep() names it */
    bool damaged;       /* a layer of it is gone or damaged: it cannot be run; pull or load it */
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

/* As image_find for @ref of a person, who may also give the first digits of a digest; without what
 * the config says, and whether it is whole or not. ERR_INVALID when several digests begin so. */
int image_lookup(struct runtime *rt, const char *ref, struct image *ret_image, struct err *err);

/* All images by name, then those that have none any more (name ""), without what their configs say.
 */
int image_list(struct runtime *rt, struct image **ret_images, size_t *ret_n, struct err *err);

/* Progress of a pull or a load, from the calling thread, some times a second. @text is for people:
 * "nginx:1.2: 12.4 of 25.0 MB". Return false to cancel. */
typedef bool (*image_progress_cb)(void *arg, const char *text);

/* How to pull. A zeroed struct is how most are pulled. */
struct image_pull_options {
    const char *platform;          /* "linux/arm64"; NULL or "": this machine's */
    const char *const *plain_http; /* NULL-terminated "host:port" of registries without TLS */
    bool peers_only;               /* ask no registry (peers.h); ERR_NOTFOUND: no peer has it */
    image_progress_cb progress;    /* may be NULL */
    void *arg;
};

/* Fetch @ref, unpack it and list it. What a tag stands for is asked of a mirror of its registry or
 * the registry itself (see registry.h); the content comes from peers that have it (peers.h), else
 * from there. When the registry fails, and this machine does not have the name, what peers have by
 * it is as good. Spoken to over plain HTTP are registries on loopback, those of the runtime's
 * configuration, of @options and whose access says so. A name with a digest is listed as
 * "NAME@DIGEST", without a tag, also when the digest is that of an index: image_find() finds it by
 * that on every machine. What arrived is kept when it fails, so that a retry resumes. */
int image_pull_with(struct runtime *rt, const char *ref, const struct image_pull_options *options,
                    struct err *err);

/* As image_pull_with, for this machine's platform. */
int image_pull(struct runtime *rt, const char *ref, const char *const *plain_http,
               image_progress_cb progress, void *arg, struct err *err);

struct image_push_options {
    const char *const *plain_http; /* as of a pull */
    image_progress_cb progress;    /* may be NULL */
    void *arg;
};

/* Put the image @ref, a name that this machine lists, into the registry and repository of that name
 * under its tag: the very bytes it has here, so the digest is the same there. What the registry has
 * already is not sent, and what it may have in another repository it is asked to take from there.
 * ERR_NOTFOUND when the image is not here, ERR_DENIED when the registry does not let us write. */
int image_push(struct runtime *rt, const char *ref, const struct image_push_options *options,
               struct err *err);

/* Ask the registry of @ref (a name with a tag) what it stands for now: the digest of its index or
 * manifest, "sha256:HEX". Nothing is fetched. "NAME@DIGEST" is then the same bits on every machine,
 * of whatever architecture. Errors as of image_pull. */
int image_resolve(struct runtime *rt, const char *ref, char ret_digest[72], struct err *err);

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

/* Give the image @ref the further name @name, which moves if it stood for another. *@ret_name (the
 * caller frees it) is its normalized form. */
int image_tag(struct runtime *rt, const char *ref, const char *name, char **ret_name,
              struct err *err);

/* Give @name, a service's own, to the image @bound ("NAME@DIGEST", as image_pull got it), so that
 * other machines can ask what it stands for when its registry is gone. Nothing is done when @name
 * stands here for an image that did not come by its digest: somebody pulled or loaded that one. */
int image_name_bound(struct runtime *rt, const char *bound, const char *name, struct err *err);

/* Take the name off; content that no image and no container uses is deleted. With a digest or its
 * first digits: all names. *@ret_names (may be NULL) are those. ERR_BUSY while a container uses its
 * last name. */
int image_remove(struct runtime *rt, const char *ref, char ***ret_names, struct err *err);

/* --- what stays and what goes (image_prune.c) ------------------------------------------------- */

/* Have the images of these references (names with or without digest, digests; NULL-terminated) stay
 * although no container is made from them, until the next call, which names all anew: also after
 * this machine restarted. Cheap when nothing changed. Other than normalized is ERR_INVALID. */
int image_keep(struct runtime *rt, const char *const *refs, struct err *err);

/* What a collection took away, or would. */
struct image_pruned {
    char **images; /* names, or digests of those without; NULL-terminated */
    size_t n;
    int64_t bytes; /* that it gave the disk */
};

/* Free what @pruned holds and zero it. */
void image_pruned_release(struct image_pruned *pruned);

/* Delete the images that no container is made from and that image_keep() does not name: those with
 * no other name than by digest ("app@sha256:…"), with @all the others too. @dry_run only tells. */
int image_prune(struct runtime *rt, bool all, bool dry_run, struct image_pruned *ret_pruned,
                struct err *err);

/* When less is free on the disk of images than a mark (a tenth, at most 20 GiB; but 2 GiB, at most
 * a fifth), delete what image_prune() with @all would, in the order in which it was used, from
 * registries first and from archives last, until half as much again is free; none that was used
 * within @min_age_ms. @urgent: also above that mark, and when half as much again is free already
 * all of them. Each is logged. */
int image_make_room(struct runtime *rt, int64_t min_age_ms, bool urgent,
                    struct image_pruned *ret_pruned, struct err *err);

/* True when image_make_room() has something to do. Does not block for long. */
bool image_disk_is_short(const struct runtime *rt);

/* At the opening of the runtime: forget what containers held that do not exist. */
void image_forget_lost(struct runtime *rt);

/* --- is it what it was? (image_check.c) ------------------------------------------------------- */

struct image_finding {
    char *image;   /* a name or digest */
    char *part;    /* "layer 2 of 5", "blob sha256:…" */
    char *problem; /* "missing", "damaged: …" */
    char *users;   /* containers that are made from it, "" for none */
    bool fatal;    /* the image cannot be run until it is healed */
    bool repaired;
};

struct image_check {
    struct image_finding *findings;
    size_t n;
    int64_t images;
    int64_t blobs;
    int64_t layers;
    int64_t bytes; /* read */
};

/* Free what @check holds and zero it. */
void image_check_release(struct image_check *check);

/* Read every blob and every unpacked layer from the disk and compare them with their digests, and
 * the index with the files. A damaged layer is marked, so that no container starts from it; what
 * runs on it runs on. A damaged blob is deleted. The next pull or load heals both. With @repair
 * that is done here: layers are unpacked anew from their blobs, and what has lost blobs is pulled
 * by its digest. Fails only when it cannot look. */
int image_check(struct runtime *rt, bool repair, image_progress_cb progress, void *arg,
                struct image_check *ret_check, struct err *err);

/* Make the image @ref, of which image_find() says ERR_CORRUPT, whole again: unpack what is damaged
 * anew from its blobs, fetching by digest what is missing of those. */
int image_heal(struct runtime *rt, const char *ref, image_progress_cb progress, void *arg,
               struct err *err);

/* --- what it is made of (image_details.c) ----------------------------------------------------- */

struct image_layer_info {
    char *digest;  /* of the blob */
    char *diff_id; /* of the tar in it */
    int64_t size_bytes;
    int64_t unpacked_bytes; /* on this disk; 0: not known */
    bool damaged;           /* or gone */
};

/* A step of its making (OCI image specification, config.md, "history"). */
struct image_history {
    char *created; /* as the image says it, or "" */
    char *created_by;
    char *comment;
    int64_t layer;      /* its layer, from 1; 0: it made none */
    int64_t size_bytes; /* of that */
};

struct image_details {
    struct image image;
    char **names;
    char **holders; /* containers made from it */
    char *config_digest;
    char *created; /* as the image says it, or "" */
    char *author;
    char *os;
    char *architecture;
    char *variant;
    char **labels;                   /* "K=V" */
    struct image_layer_info *layers; /* lowest first */
    size_t layers_n;
    struct image_history *history; /* oldest first */
    size_t history_n;
};

/* Free what @details holds and zero it. */
void image_details_release(struct image_details *details);

/* All about the image @ref, as image_lookup() finds it. */
int image_details(struct runtime *rt, const char *ref, struct image_details *ret, struct err *err);

/* --- an archive of it (image_archive.c) ------------------------------------------------------- */

struct image_archive;

/* Make ready an archive of the images @refs (NULL-terminated): an OCI image layout as a tar that
 * 'docker load' understands as well, with the very blobs they have here. The same images give the
 * same bytes. They stay until image_archive_close(). */
int image_archive_open(struct runtime *rt, const char *const *refs, struct image_archive **ret,
                       struct err *err);

/* Its length. */
int64_t image_archive_size(const struct image_archive *archive);

/* Read up to @len bytes from @offset on; *@ret_n is 0 at the end only. A blob's digest is checked
 * before its first byte is given. One thread at a time. */
int image_archive_read(struct image_archive *archive, int64_t offset, void *data, size_t len,
                       size_t *ret_n, struct err *err);

/* Free. NULL is fine. */
void image_archive_close(struct image_archive *archive);

/* Free a NULL-terminated array of strings. NULL is fine. */
void image_strings_free(char **strings);

#endif
