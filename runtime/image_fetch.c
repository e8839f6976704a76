/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_fetch - get images from registries and archives.
 */
#include "runtime/image.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_helper.h"
#include "runtime/image_store.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IMAGES_MAX = 4096, /* names in one archive */
};

/* A manifest that the helper named. */
struct fetched {
    char digest[IMAGE_DIGEST_SIZE];
    char *name; /* as the archive has it, or NULL */
};

/* A fetch under way. */
struct fetch {
    struct runtime *rt;
    const char *ingest;
    struct fetched *images;
    size_t n;
};

static void fetch_release(struct fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->images[i].name);
    free(f->images);
}

static bool parse_size(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *ret = n;
    return errno == 0 && end != text && *end == '\0' && n >= 0;
}

/* A file of the ingest folder, not a path. */
static bool file_name_valid(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < 100 && strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz.") == n &&
           name[0] != '.';
}

static int take_image(struct fetch *f, char *digest, char *name, struct err *err)
{
    if (f->n >= IMAGES_MAX)
        return err_set(err, ERR_TOOBIG, "the archive has more than %d images", IMAGES_MAX);
    if (!image_helper_decode(name))
        return ERR_INTERNAL;
    f->images = mem_resize(f->images, f->n + 1, sizeof(*f->images));
    struct fetched *image = &f->images[f->n++];
    str_fill(image->digest, sizeof(image->digest), digest);
    image->name = strcmp(name, "-") == 0 ? NULL : str_copy(name);
    return 0;
}

static int on_line(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                   struct err *err)
{
    struct fetch *f = arg;
    int64_t size = 0;
    int rv = ERR_INTERNAL;
    struct err why;
    err_set(&why, rv, "wherry-image speaks an unknown language");
    bool digest = n >= 3 && image_digest_valid(words[1]);
    if (digest && n == 3 && strcmp(words[0], "have") == 0 && parse_size(words[2], &size)) {
        bool have = image_store_have(f->rt, words[1], size);
        *ret_answer = have ? IMAGE_ANSWER_YES : IMAGE_ANSWER_NO;
        return 0;
    }
    if (digest && n == 4 && strcmp(words[0], "blob") == 0 && parse_size(words[2], &size) &&
        file_name_valid(words[3])) {
        *ret_answer = IMAGE_ANSWER_YES;
        rv = image_store_file(f->rt, f->ingest, words[3], words[1], size, &why);
    } else if (digest && n == 3 && strcmp(words[0], "image") == 0) {
        rv = take_image(f, words[1], words[2], &why);
    }
    if (rv < 0 && err)
        *err = why;
    return rv;
}

/* Run the helper with @mode, the ingest folder, the room on the disk and @last (may be NULL). */
static int run_helper(struct fetch *f, const char *mode, const char *last, int input_fd,
                      const struct image_listener *listener, struct err *err)
{
    char max[24];
    int64_t room = image_store_room(f->rt);
    if (room == 0)
        return err_set(err, ERR_NOSPACE, "there is no room for images left at %s", f->rt->data_dir);
    snprintf(max, sizeof(max), "%lld", (long long)room);
    const char *const argv[] = {mode, f->ingest, max, last, NULL};
    struct image_helper_job job = {.argv = argv,
                                   .input_fd = input_fd,
                                   .label = listener->label,
                                   .progress = listener->progress,
                                   .progress_arg = listener->arg,
                                   .on_line = on_line,
                                   .arg = f};
    return image_helper_run(f->rt, &job, err);
}

static int install(struct runtime *rt, const char *digest, const char *name,
                   const struct image_listener *listener, struct err *err)
{
    int rv = image_store_begin(rt, listener, err);
    if (rv < 0)
        return rv;
    rv = image_store_install(rt, digest, name, listener, err);
    image_store_end(rt);
    return rv;
}

static bool is_named(const char *registry, const char *const *registries)
{
    for (size_t i = 0; registries && registries[i]; i++) {
        if (strcmp(registries[i], registry) == 0)
            return true;
    }
    return false;
}

/* Plain HTTP is for this machine and for whom the user named. */
static int check_plain(const struct runtime *rt, const struct image_ref *ref,
                       const char *const *plain_http, struct err *err)
{
    if (image_registry_is_local(ref->registry) || is_named(ref->registry, plain_http) ||
        is_named(ref->registry, (const char *const *)rt->plain_http))
        return 0;
    return err_set(
        err, ERR_UNSUPPORTED,
        "not on this machine, and registry %.50s needs HTTPS, which is not supported yet: "
        "'wherry image load' it here, or name a registry without TLS with --plain-http",
        ref->registry);
}

static int pull(struct fetch *f, const char *name, const struct image_listener *listener,
                struct err *err)
{
    int rv = run_helper(f, "pull", name, -1, listener, err);
    if (rv < 0)
        return rv;
    if (f->n != 1)
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    return install(f->rt, f->images[0].digest, name, listener, err);
}

int image_pull(struct runtime *rt, const char *ref, const char *const *plain_http,
               image_progress_cb progress, void *arg, struct err *err)
{
    struct image_ref parsed;
    int rv = image_ref_parse(ref, &parsed, err);
    if (rv < 0 || (rv = check_plain(rt, &parsed, plain_http, err)) < 0)
        return rv;
    cleanup_free char *name = image_ref_format(&parsed);
    cleanup_free char *ingest = str_printf("%s/images/ingest/pull", rt->data_dir);
    struct image_listener listener = {.label = ref, .progress = progress, .arg = arg};
    struct fetch f = {.rt = rt, .ingest = ingest};
    if ((rv = image_store_fetch_begin(rt, &listener, err)) < 0)
        return rv;
    rv = pull(&f, name, &listener, err);
    image_store_fetch_end(rt);
    fetch_release(&f);
    return rv < 0 ? err_wrap(err, "pull %.100s", ref) : 0;
}

/* Replace the names in @f by their normalized forms. With @name, which is for an archive of one
 * image, that is the only one. */
static int settle_names(struct fetch *f, const char *name, struct err *err)
{
    if (f->n == 0)
        return err_set(err, ERR_INVALID, "the archive holds no image");
    for (size_t i = 1; name && i < f->n; i++) {
        if (strcmp(f->images[0].digest, f->images[i].digest) != 0)
            return err_set(err, ERR_INVALID,
                           "the archive holds several images, one name does not fit");
        free(f->images[i].name);
    }
    if (name) {
        f->n = 1;
        free(f->images[0].name);
        f->images[0].name = str_copy(name);
    }
    for (size_t i = 0; i < f->n; i++) {
        struct image_ref ref;
        if (!f->images[i].name)
            return err_set(err, ERR_INVALID, "the archive does not name its image; give a name");
        int rv = image_ref_parse(f->images[i].name, &ref, err);
        if (rv < 0)
            return rv;
        if (ref.digest[0] && strcmp(ref.digest, f->images[i].digest) != 0)
            return err_set(err, ERR_CORRUPT, "the archive calls %.80s what has another digest",
                           f->images[i].name);
        free(f->images[i].name);
        f->images[i].name = image_ref_format(&ref);
    }
    return 0;
}

/* Make a folder for one load. */
static int make_ingest(struct runtime *rt, char **ret_path, struct err *err)
{
    unsigned char raw[8];
    char hex[2 * sizeof(raw) + 1];
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), hex);
    char *path = str_printf("%s/images/ingest/load-%s", rt->data_dir, hex);
    if (mkdir(path, 0700) < 0) {
        int rv = err_errno(err, errno, "make folder %s", path);
        free(path);
        return rv;
    }
    *ret_path = path;
    return 0;
}

static int open_archive(const char *path, int *ret_fd, struct err *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_errno(err, errno, "open");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "it is no file");
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int load(struct fetch *f, int fd, const char *name, const struct image_listener *listener,
                char ***ret_names, struct err *err)
{
    int rv = run_helper(f, "load", NULL, fd, listener, err);
    if (rv == 0)
        rv = settle_names(f, name, err);
    char **names = mem_alloc(f->n + 1, sizeof(*names));
    for (size_t i = 0; rv == 0 && i < f->n; i++) {
        struct image_listener named = *listener;
        named.label = f->images[i].name;
        rv = install(f->rt, f->images[i].digest, f->images[i].name, &named, err);
        names[i] = str_copy(f->images[i].name);
    }
    if (rv < 0)
        image_strings_free(names);
    else
        *ret_names = names;
    return rv;
}

int image_load(struct runtime *rt, const char *path, const char *name, char ***ret_names,
               image_progress_cb progress, void *arg, struct err *err)
{
    cleanup_close int fd = -1;
    cleanup_free char *ingest = NULL;
    const char *slash = strrchr(path, '/');
    struct image_listener listener = {
        .label = slash ? slash + 1 : path, .progress = progress, .arg = arg};
    int rv = open_archive(path, &fd, err);
    if (rv < 0)
        return err_wrap(err, "load %.100s", path);
    if ((rv = image_store_fetch_begin(rt, &listener, err)) < 0)
        return rv;
    if ((rv = make_ingest(rt, &ingest, err)) == 0) {
        struct fetch f = {.rt = rt, .ingest = ingest};
        rv = load(&f, fd, name, &listener, ret_names, err);
        fetch_release(&f);
        file_remove_tree(ingest, NULL);
    }
    image_store_fetch_end(rt);
    return rv < 0 ? err_wrap(err, "load %.100s", path) : 0;
}
