/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagedriver - images of a runtime without the rest, for tests.
 *
 *     imagedriver DATA-DIR PROGRAM-DIR pull REF...    all at once, each in a thread of its own
 *     imagedriver DATA-DIR PROGRAM-DIR load ARCHIVE [NAME]
 *     imagedriver DATA-DIR PROGRAM-DIR ls             NAME DIGEST, a line each
 *     imagedriver DATA-DIR PROGRAM-DIR layers REF     the folders of its layers, lowest first
 *     imagedriver DATA-DIR PROGRAM-DIR rm REF
 *     imagedriver DATA-DIR PROGRAM-DIR tag REF NAME
 *     imagedriver DATA-DIR PROGRAM-DIR hold HOLDER DIGEST | release HOLDER
 *     imagedriver DATA-DIR PROGRAM-DIR keep REF...    what services need
 *     imagedriver DATA-DIR PROGRAM-DIR prune [all] [dry]
 *     imagedriver DATA-DIR PROGRAM-DIR room           delete what is unused if the disk is short
 *     imagedriver DATA-DIR PROGRAM-DIR check [repair] a line each for what is wrong
 *     imagedriver DATA-DIR PROGRAM-DIR save FILE REF...
 *     imagedriver DATA-DIR PROGRAM-DIR mount REF DIR  its root, as a container has it
 *     imagedriver DATA-DIR PROGRAM-DIR push REF
 *     imagedriver DATA-DIR PROGRAM-DIR resolve REF    the digest that its registry gives it now
 *     imagedriver DATA-DIR PROGRAM-DIR login REGISTRY does it let us in
 *     imagedriver DATA-DIR PROGRAM-DIR cut            cut the power of the ext4 that DATA-DIR is on
 *
 * Registries that $PLAIN_HTTP names are spoken to over HTTP. $ACCESS is a folder with a folder per
 * registry, in which the files username, password, ca, mirrors (a URL a line) and plain-http say
 * how it is reached. $PLATFORM is that of a pull, $STALL_S the patience with silent registries. The
 * last progress of a pull that tells layers goes to the file $PROGRESS. The last error goes to
 * stderr.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "runtime/registry.h"
#include "runtime/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file system stops at once; with NOLOGFLUSH what its journal has not on disk is lost. */
#define EXT4_IOC_SHUTDOWN           _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2U

struct pull {
    struct runtime *rt;
    const char *ref;
    struct err err;
    int rv;
};

/* The content of $ACCESS/@registry/@name without its last newline, NULL when there is none. */
static char *read_access(const char *registry, const char *name)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_free char *path = str_printf("%s/%s/%s", getenv("ACCESS"), registry, name);
    if (file_read(path, 1 << 20, &text, NULL) < 0)
        return NULL;
    if (text.len && text.data[text.len - 1] == '\n')
        text.data[text.len - 1] = '\0';
    return str_copy(str_or_empty(text.data));
}

static int on_registry(void *arg, const char *registry, struct registry_access *ret,
                       struct err *err)
{
    (void)arg;
    (void)err;
    if (!getenv("ACCESS"))
        return 0;
    cleanup_free char *mirrors = read_access(registry, "mirrors");
    cleanup_free char *plain = read_access(registry, "plain-http");
    ret->username = read_access(registry, "username");
    ret->password = read_access(registry, "password");
    ret->ca = read_access(registry, "ca");
    ret->plain_http = plain != NULL;
    ret->mirrors = mem_alloc(16, sizeof(*ret->mirrors));
    char *rest = NULL;
    size_t n = 0;
    for (char *m = mirrors ? strtok_r(mirrors, "\n", &rest) : NULL; m && n < 15;
         m = strtok_r(NULL, "\n", &rest))
        ret->mirrors[n++] = str_copy(m);
    return 0;
}

static bool on_progress(void *arg, const char *text)
{
    (void)arg;
    if (strstr(text, " layers, "))
        file_write_fast(getenv("PROGRESS"), text, strlen(text), 0600, NULL);
    return true;
}

static void *pull_one(void *arg)
{
    struct pull *p = arg;
    const char *plain[] = {getenv("PLAIN_HTTP"), NULL};
    struct image_pull_options options = {.platform = getenv("PLATFORM"),
                                         .plain_http = plain,
                                         .progress = getenv("PROGRESS") ? on_progress : NULL};
    p->rv = image_pull_with(p->rt, p->ref, &options, &p->err);
    return NULL;
}

static int push(struct runtime *rt, const char *ref, struct err *err)
{
    const char *plain[] = {getenv("PLAIN_HTTP"), NULL};
    struct image_push_options options = {.plain_http = plain,
                                         .progress = getenv("PROGRESS") ? on_progress : NULL};
    return image_push(rt, ref, &options, err);
}

static int resolve(struct runtime *rt, const char *ref, struct err *err)
{
    char digest[72];
    int rv = image_resolve(rt, ref, digest, err);
    if (rv == 0)
        puts(digest);
    return rv;
}

static int login(struct runtime *rt, const char *registry, struct err *err)
{
    struct registry_access access = {0};
    on_registry(NULL, registry, &access, err);
    int rv = registry_check(rt, registry, &access, err);
    registry_access_release(&access);
    return rv;
}

static int pull(struct runtime *rt, char **refs, int n, struct err *err)
{
    struct pull *pulls = mem_alloc((size_t)n + 1, sizeof(*pulls));
    pthread_t *threads = mem_alloc((size_t)n + 1, sizeof(*threads));
    int rv = 0;
    for (int i = 0; i < n; i++) {
        pulls[i] = (struct pull){.rt = rt, .ref = refs[i]};
        check(pthread_create(&threads[i], NULL, pull_one, &pulls[i]) == 0);
    }
    for (int i = 0; i < n; i++) {
        check(pthread_join(threads[i], NULL) == 0);
        if (pulls[i].rv < 0) {
            rv = pulls[i].rv;
            *err = pulls[i].err;
        }
    }
    free(pulls);
    free(threads);
    return rv;
}

static int load(struct runtime *rt, char **args, int n, struct err *err)
{
    char **names = NULL;
    if (n < 1)
        return err_set(err, ERR_INVALID, "load what?");
    int rv = image_load(rt, args[0], n > 1 ? args[1] : NULL, &names, NULL, NULL, err);
    for (size_t i = 0; rv == 0 && names[i]; i++)
        puts(names[i]);
    image_strings_free(names);
    return rv;
}

static int list(struct runtime *rt, struct err *err)
{
    struct image *images;
    size_t n;
    int rv = image_list(rt, &images, &n, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < n; i++)
        printf("%s %s\n", images[i].name, images[i].digest);
    image_list_free(images, n);
    return 0;
}

static int layers(struct runtime *rt, const char *ref, struct err *err)
{
    struct image image;
    int rv = image_find(rt, ref, &image, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; image.layer_dirs[i]; i++)
        puts(image.layer_dirs[i]);
    image_release(&image);
    return 0;
}

static int print_pruned(struct image_pruned *pruned)
{
    for (size_t i = 0; i < pruned->n; i++)
        puts(pruned->images[i]);
    printf("%lld bytes\n", (long long)pruned->bytes);
    image_pruned_release(pruned);
    return 0;
}

static bool has_word(char **args, int n, const char *word)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(args[i], word) == 0)
            return true;
    }
    return false;
}

static int prune(struct runtime *rt, char **args, int n, struct err *err)
{
    struct image_pruned pruned;
    int rv = image_prune(rt, has_word(args, n, "all"), has_word(args, n, "dry"), &pruned, err);
    return rv < 0 ? rv : print_pruned(&pruned);
}

static int make_room(struct runtime *rt, struct err *err)
{
    struct image_pruned pruned;
    int rv = image_make_room(rt, 0, false, &pruned, err);
    return rv < 0 ? rv : print_pruned(&pruned);
}

static int check_images(struct runtime *rt, bool repair, struct err *err)
{
    struct image_check result;
    int left = 0;
    int rv = image_check(rt, repair, NULL, NULL, &result, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < result.n; i++) {
        struct image_finding *f = &result.findings[i];
        printf("%s: %s: %s%s%s%s%s\n", f->image, f->part, f->problem, *f->users ? "; used by " : "",
               f->users, f->fatal ? " (fatal)" : "", f->repaired ? " (repaired)" : "");
        left += !f->repaired;
    }
    printf("%lld images, %lld blobs, %lld layers\n", (long long)result.images,
           (long long)result.blobs, (long long)result.layers);
    image_check_release(&result);
    return left ? err_set(err, ERR_CORRUPT, "%d things are wrong", left) : 0;
}

static int save(struct runtime *rt, char **args, int n, struct err *err)
{
    struct image_archive *archive;
    cleanup_free char *piece = mem_alloc(1, 1 << 20);
    int64_t offset = 0;
    size_t got = 1;
    const char *refs[64] = {NULL};
    for (int i = 1; i < n && i < 64; i++)
        refs[i - 1] = args[i];
    cleanup_close int fd = open(args[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "open %s", args[0]);
    int rv = image_archive_open(rt, refs, &archive, err);
    if (rv < 0)
        return rv;
    while (rv == 0 && got > 0) {
        rv = image_archive_read(archive, offset, piece, 1 << 20, &got, err);
        if (rv == 0 && fd_write_all(fd, piece, got) < 0)
            rv = err_set(err, ERR_IO, "write %s", args[0]);
        offset += (int64_t)got;
    }
    if (rv == 0 && offset != image_archive_size(archive))
        rv = err_set(err, ERR_INTERNAL, "the archive has another size than it said");
    image_archive_close(archive);
    return rv;
}

/* The mount stays when we end: it is the caller's to unmount. */
static int mount_image(struct runtime *rt, const char *ref, const char *dir, struct err *err)
{
    struct image image;
    int fd = -1;
    cleanup_free char *upper = str_printf("%s.upper", dir);
    cleanup_free char *scratch = str_printf("%s.upper/scratch", dir);
    int rv = image_find(rt, ref, &image, err);
    if (rv < 0)
        return rv;
    size_t n = 0;
    while (image.layer_dirs[n])
        n++;
    if (mkdir(dir, 0755) < 0 || mkdir(upper, 0755) < 0 || mkdir(scratch, 0755) < 0)
        rv = err_errno(err, errno, "make %s", dir);
    if (rv == 0)
        rv = snapshot_create(upper, n > 0 ? image.layer_dirs[n - 1] : NULL, err);
    if (rv == 0)
        rv = snapshot_mount(upper, (const char *const *)image.layer_dirs, scratch, &fd, err);
    if (rv == 0 && move_mount(fd, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        rv = err_errno(err, errno, "mount on %s", dir);
    if (fd >= 0)
        close(fd);
    image_release(&image);
    return rv;
}

static int cut_power(const char *dir, struct err *err)
{
    uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) < 0)
        return err_errno(err, errno, "cut the power of %s", dir);
    return 0;
}

static int run(struct runtime *rt, char **args, int n, struct err *err)
{
    if (strcmp(args[0], "pull") == 0)
        return pull(rt, args + 1, n - 1, err);
    if (strcmp(args[0], "load") == 0)
        return load(rt, args + 1, n - 1, err);
    if (strcmp(args[0], "ls") == 0)
        return list(rt, err);
    if (strcmp(args[0], "layers") == 0 && n > 1)
        return layers(rt, args[1], err);
    if (strcmp(args[0], "rm") == 0 && n > 1)
        return image_remove(rt, args[1], NULL, err);
    if (strcmp(args[0], "tag") == 0 && n > 2) {
        cleanup_free char *name = NULL;
        return image_tag(rt, args[1], args[2], &name, err);
    }
    if (strcmp(args[0], "hold") == 0 && n > 2)
        return image_hold(rt, args[1], args[2], err);
    if (strcmp(args[0], "release") == 0 && n > 1)
        return image_unhold(rt, args[1], err);
    if (strcmp(args[0], "keep") == 0)
        return image_keep(rt, (const char *const *)args + 1, err);
    if (strcmp(args[0], "prune") == 0)
        return prune(rt, args, n, err);
    if (strcmp(args[0], "room") == 0)
        return make_room(rt, err);
    if (strcmp(args[0], "check") == 0)
        return check_images(rt, has_word(args, n, "repair"), err);
    if (strcmp(args[0], "save") == 0 && n > 2)
        return save(rt, args + 1, n - 1, err);
    if (strcmp(args[0], "mount") == 0 && n > 2)
        return mount_image(rt, args[1], args[2], err);
    if (strcmp(args[0], "push") == 0 && n > 1)
        return push(rt, args[1], err);
    if (strcmp(args[0], "resolve") == 0 && n > 1)
        return resolve(rt, args[1], err);
    if (strcmp(args[0], "login") == 0 && n > 1)
        return login(rt, args[1], err);
    return err_set(err, ERR_INVALID, "usage: imagedriver DATA-DIR PROGRAM-DIR VERB ...");
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc < 4) {
        fputs("usage: imagedriver DATA-DIR PROGRAM-DIR VERB ...\n", stderr);
        return 2;
    }
    if (strcmp(argv[3], "cut") == 0) {
        int cut = cut_power(argv[1], &err);
        if (cut < 0)
            fprintf(stderr, "%s\n", err.msg);
        return cut < 0;
    }
    struct runtime rt = {.data_dir = argv[1],
                         .program_dir = argv[2],
                         .on_registry = on_registry,
                         .registry_stall_s = atoi(str_or_empty(getenv("STALL_S")))};
    cleanup_free char *path = str_printf("%s/images/index.db", rt.data_dir);
    int rv = index_open(path, &rt.index, &err);
    if (rv == 0)
        rv = run(&rt, argv + 3, argc - 3, &err);
    index_close(rt.index);
    if (rv < 0)
        fprintf(stderr, "%s: %s\n", err_name(rv), err.msg);
    return rv < 0 ? err_exit_status(rv) : 0;
}
