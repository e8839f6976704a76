/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_fetch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_helper.h"
#include "runtime/image_peers.h"
#include "runtime/image_store.h"
#include "runtime/internal.h"
#include "runtime/platform.h"
#include "runtime/registry_settings.h"

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

void image_fetch_release(struct image_fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->images[i].name);
    free(f->images);
    f->images = NULL;
    f->n = 0;
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

static int take_image(struct image_fetch *f, char *digest, char *name, struct err *err)
{
    if (f->n >= IMAGES_MAX)
        return err_set(err, ERR_TOOBIG, "the archive has more than %d images", IMAGES_MAX);
    if (!image_helper_decode(name))
        return ERR_INTERNAL;
    f->images = mem_resize(f->images, f->n + 1, sizeof(*f->images));
    struct image_fetched *image = &f->images[f->n++];
    str_fill(image->digest, sizeof(image->digest), digest);
    image->name = strcmp(name, "-") == 0 ? NULL : str_copy(name);
    return 0;
}

static int on_line(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                   struct err *err)
{
    struct image_fetch *f = arg;
    int64_t size = 0;
    int rv = ERR_INTERNAL;
    struct err why;
    err_set(&why, rv, "wherry-image speaks an unknown language");
    bool digest = n >= 3 && image_digest_valid(words[1]);
    if (digest && n == 3 && strcmp(words[0], "have") == 0 && parse_size(words[2], &size)) {
        bool have = f->supply ? image_supply_have(f->supply, words[1], size)
                              : image_store_have(f->rt, words[1], size);
        *ret_answer = have ? IMAGE_ANSWER_YES : IMAGE_ANSWER_NO;
        return 0;
    }
    if (digest && n == 4 && strcmp(words[0], "blob") == 0 && parse_size(words[2], &size) &&
        file_name_valid(words[3])) {
        *ret_answer = IMAGE_ANSWER_YES;
        rv = image_store_file(f->rt, f->ingest, words[3], words[1], size, &why);
        if (rv == 0 && f->supply)
            image_supply_filed(f->supply, words[1]);
    } else if (digest && n == 3 && strcmp(words[0], "image") == 0) {
        rv = take_image(f, words[1], words[2], &why);
    }
    if (rv < 0 && err)
        *err = why;
    return rv;
}

int image_fetch_run(struct image_fetch *f, const char *mode, const char *last, int input_fd,
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
    struct err why = {0};
    int rv = image_helper_run(f->rt, &job, &why);
    /* In these words it says that it was more than max: what the disk has is less than what an
     * image may have. */
    if (rv == ERR_TOOBIG && room < IMAGE_MAX_BYTES && strstr(why.msg, "free or allowed"))
        rv = why.code = ERR_NOSPACE;
    if (rv < 0 && err)
        *err = why;
    return rv;
}

/* ERR_UNSUPPORTED when the manifest @digest is not for @platform (NULL: this machine's). */
static int check_platform(struct runtime *rt, const char *digest,
                          const struct image_platform *platform, struct err *err)
{
    cleanup_free struct image_manifest *manifest = mem_alloc(1, sizeof(*manifest));
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf config = BUF_INIT;
    int rv = image_store_read(rt, digest, &text, err);
    if (rv == 0)
        rv = image_manifest_parse(text.data, text.len, manifest, err);
    if (rv == 0)
        rv = image_store_read(rt, manifest->config.digest, &config, err);
    return rv < 0 ? rv : image_config_check(config.data, config.len, platform, err);
}

int image_fetch_install(struct runtime *rt, const char *digest, const char *name,
                        const struct image_platform *platform,
                        const struct image_listener *listener, struct err *err)
{
    int rv = check_platform(rt, digest, platform, err);
    if (rv < 0 || (rv = image_store_begin(rt, listener, err)) < 0)
        return rv;
    rv = image_store_install(rt, digest, name, !platform, listener, err);
    image_store_end(rt);
    return rv;
}

/* Replace the names in @f by their normalized forms. With @name, which is for an archive of one
 * image, that is the only one. */
static int settle_names(struct image_fetch *f, const char *name, struct err *err)
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

static int load(struct image_fetch *f, int fd, const char *name,
                const struct image_listener *listener, char ***ret_names, struct err *err)
{
    int rv = image_fetch_run(f, "load", NULL, fd, listener, err);
    if (rv == 0)
        rv = settle_names(f, name, err);
    char **names = mem_alloc(f->n + 1, sizeof(*names));
    for (size_t i = 0; rv == 0 && i < f->n; i++) {
        struct image_listener named = *listener;
        named.label = f->images[i].name;
        rv = image_fetch_install(f->rt, f->images[i].digest, f->images[i].name, NULL, &named, err);
        names[i] = str_copy(f->images[i].name);
    }
    if (rv < 0)
        image_strings_free(names);
    else
        *ret_names = names;
    return rv;
}

static int load_once(struct runtime *rt, int fd, const char *name,
                     const struct image_listener *listener, char ***ret_names, struct err *err)
{
    cleanup_free char *ingest = NULL;
    int rv = image_store_fetch_begin(rt, listener, err);
    if (rv < 0)
        return rv;
    if (lseek(fd, 0, SEEK_SET) < 0)
        rv = err_errno(err, errno, "read");
    if (rv == 0 && (rv = make_ingest(rt, &ingest, err)) == 0) {
        struct image_fetch f = {.rt = rt, .ingest = ingest};
        rv = load(&f, fd, name, listener, ret_names, err);
        image_fetch_release(&f);
        file_remove_tree(ingest, NULL);
    }
    image_store_fetch_end(rt);
    return rv;
}

int image_load(struct runtime *rt, const char *path, const char *name, char ***ret_names,
               image_progress_cb progress, void *arg, struct err *err)
{
    cleanup_close int fd = -1;
    const char *slash = strrchr(path, '/');
    struct image_listener listener = {
        .label = slash ? slash + 1 : path, .progress = progress, .arg = arg};
    int rv = open_archive(path, &fd, err);
    if (rv == 0)
        rv = load_once(rt, fd, name, &listener, ret_names, err);
    if (image_made_room(rt, rv))
        rv = load_once(rt, fd, name, &listener, ret_names, err);
    return rv < 0 ? err_wrap(err, "load %.100s", path) : 0;
}
