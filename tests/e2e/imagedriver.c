/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagedriver - images of a runtime without the rest, for tests.
 *
 *     imagedriver DATA-DIR PROGRAM-DIR pull REF...    all at once, each in a thread of its own
 *     imagedriver DATA-DIR PROGRAM-DIR load ARCHIVE [NAME]
 *     imagedriver DATA-DIR PROGRAM-DIR ls             NAME DIGEST, a line each
 *     imagedriver DATA-DIR PROGRAM-DIR layers REF     the folders of its layers, lowest first
 *     imagedriver DATA-DIR PROGRAM-DIR rm REF
 *     imagedriver DATA-DIR PROGRAM-DIR cut            cut the power of the ext4 that DATA-DIR is on
 *
 * Registries that $PLAIN_HTTP names are spoken to over HTTP. The last error goes to stderr.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The file system stops at once; with NOLOGFLUSH what its journal has not on disk is lost. */
#define EXT4_IOC_SHUTDOWN           _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2U

struct pull {
    struct runtime *rt;
    const char *ref;
    struct err err;
    int rv;
};

static void *pull_one(void *arg)
{
    struct pull *p = arg;
    const char *plain[] = {getenv("PLAIN_HTTP"), NULL};
    p->rv = image_pull(p->rt, p->ref, plain, NULL, NULL, &p->err);
    return NULL;
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
        return image_remove(rt, args[1], err);
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
    struct runtime rt = {.data_dir = argv[1], .program_dir = argv[2]};
    cleanup_free char *path = str_printf("%s/images/index.db", rt.data_dir);
    int rv = index_open(path, &rt.index, &err);
    if (rv == 0)
        rv = run(&rt, argv + 3, argc - 3, &err);
    index_close(rt.index);
    if (rv < 0)
        fprintf(stderr, "%s: %s\n", err_name(rv), err.msg);
    return rv < 0 ? err_exit_status(rv) : 0;
}
