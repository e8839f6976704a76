/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wherry-image - fetch and unpack images, confined. Started by the runtime only:
 *
 *     wherry-image pull FOLDER MAX-BYTES NAME        from a registry to the ingest folder
 *     wherry-image push FOLDER MAX-BYTES NAME        the blobs of FOLDER to a registry
 *     wherry-image resolve FOLDER MAX-BYTES NAME     what the name stands for
 *     wherry-image check FOLDER MAX-BYTES REGISTRY   does it let us in
 *     wherry-image load FOLDER MAX-BYTES             the archive at descriptor 3 to FOLDER
 *     wherry-image unpack FOLDER MAX-BYTES DIGEST SIZE DIFF-ID  the layer at descriptor 3 to FOLDER
 *
 * On the tree at descriptor 3 and the archive at 4, all with FOLDER MAX-BYTES live|tree PATH FLAG:
 *
 *     wherry-image tar-look …      what is at PATH
 *     wherry-image tar-out …       PATH to the archive
 *     wherry-image tar-in …        the archive to PATH; FLAG 1: with its owners
 *     wherry-image tar-fill …      the same with owners, and PATH takes what it says of its root
 *     wherry-image tar-layer …     the tree to a layer of an image
 *
 * Those that speak with registries have their settings (settings.h) at descriptor 3.
 *
 * What it says and hears is in report.h, what it gives up first in confine.h.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "runtime/fetch/ask.h"
#include "runtime/fetch/confine.h"
#include "runtime/fetch/layer.h"
#include "runtime/fetch/load.h"
#include "runtime/fetch/pull.h"
#include "runtime/fetch/push.h"
#include "runtime/fetch/report.h"
#include "runtime/fetch/settings.h"
#include "runtime/fetch/tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    INPUT_FD = 3,
};

#define CAP(name) (1ULL << CAP_##name)
/* What making any file for any owner takes. */
#define UNPACK_CAPABILITIES                                                                        \
    (CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(MKNOD) | CAP(SETFCAP))

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks at the end takes system calls that are refused by then. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static int parse_bytes(const char *text, int64_t *ret, struct err *err)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < 0)
        return err_set(err, ERR_INVALID, "'%s' is no number of bytes", text);
    *ret = n;
    return 0;
}

/* Confine and open the folder that was named, wherever it is then. */
static int enter(const struct confine *confine, int *ret_fd, struct err *err)
{
    int rv = confine_enter(confine, err);
    if (rv < 0)
        return rv;
    int fd = open(confine->network ? "/ingest" : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open the folder to write to");
    *ret_fd = fd;
    return 0;
}

/* Read the settings, give up everything but the network and the folder, and do @work. */
static int run_online(char **argv, int64_t max_bytes, bool read_only,
                      int (*work)(const struct settings *settings, const char *name, int folder_fd,
                                  int64_t max_bytes, struct err *err),
                      struct err *err)
{
    cleanup_close int fd = -1;
    struct settings settings;
    struct confine confine = {
        .folder = argv[2], .read_only = read_only, .network = true, .max_file_bytes = max_bytes};
    int rv = settings_read(INPUT_FD, &settings, err);
    if (rv < 0)
        return rv;
    rv = enter(&confine, &fd, err);
    if (rv == 0)
        rv = work(&settings, argv[4], fd, max_bytes, err);
    settings_release(&settings);
    return rv;
}

static int run_pull(char **argv, int64_t max_bytes, struct err *err)
{
    return run_online(argv, max_bytes, false, pull_image, err);
}

static int run_push(char **argv, int64_t max_bytes, struct err *err)
{
    return run_online(argv, max_bytes, true, push_image, err);
}

static int run_resolve(char **argv, int64_t max_bytes, struct err *err)
{
    return run_online(argv, max_bytes, true, ask_digest, err);
}

static int run_check(char **argv, int64_t max_bytes, struct err *err)
{
    return run_online(argv, max_bytes, true, ask_entry, err);
}

static int run_load(char **argv, int64_t max_bytes, struct err *err)
{
    cleanup_close int fd = -1;
    struct confine confine = {.folder = argv[2], .max_file_bytes = max_bytes};
    int rv = enter(&confine, &fd, err);
    return rv < 0 ? rv : load_archive(INPUT_FD, fd, max_bytes, err);
}

static void on_opaque(void *arg, const char *path)
{
    (void)arg;
    report_path("opaque", path);
}

static void on_implied(void *arg, const char *path)
{
    (void)arg;
    report_path("implied", path);
}

static void on_progress(void *arg, int64_t bytes)
{
    const struct layer_job *job = arg;
    report_progress(bytes, job->size);
}

static int run_unpack(char **argv, int64_t max_bytes, struct err *err)
{
    cleanup_close int fd = -1;
    struct confine confine = {
        .folder = argv[2], .capabilities = UNPACK_CAPABILITIES, .max_file_bytes = max_bytes};
    struct layer_job job = {.blob_fd = INPUT_FD,
                            .digest = argv[4],
                            .diff_id = argv[6],
                            .max_bytes = max_bytes,
                            .on_opaque = on_opaque,
                            .on_implied = on_implied,
                            .on_progress = on_progress,
                            .arg = &job};
    int rv = parse_bytes(argv[5], &job.size, err);
    if (rv < 0 || (rv = enter(&confine, &fd, err)) < 0)
        return rv;
    job.root_fd = fd;
    return layer_unpack(&job, err);
}

static int look(const char *path, bool flag, int64_t max_bytes, struct err *err)
{
    (void)flag;
    (void)max_bytes;
    return tarball_look(path, err);
}

static int out(const char *path, bool flag, int64_t max_bytes, struct err *err)
{
    (void)flag;
    return tarball_out(path, max_bytes, err);
}

static int layer(const char *path, bool flag, int64_t max_bytes, struct err *err)
{
    (void)path;
    (void)flag;
    return tarball_layer(max_bytes, err);
}

static int in(const char *path, bool flag, int64_t max_bytes, struct err *err)
{
    return tarball_in(path, flag, false, max_bytes, err);
}

static int fill(const char *path, bool flag, int64_t max_bytes, struct err *err)
{
    (void)flag;
    return tarball_in(path, true, true, max_bytes, err);
}

/* The tar modes: FOLDER is an empty one, to have nothing else in reach. */
static int run_tarball(char **argv, int64_t max_bytes, struct err *err)
{
    static const struct {
        const char *name;
        int (*run)(const char *path, bool flag, int64_t max_bytes, struct err *err);
        uint64_t capabilities;
    } works[] = {{"tar-look", look, CAP(DAC_READ_SEARCH)},
                 {"tar-out", out, CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH)},
                 {"tar-layer", layer, CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH)},
                 {"tar-in", in, UNPACK_CAPABILITIES & ~CAP(MKNOD)},
                 {"tar-fill", fill, UNPACK_CAPABILITIES & ~CAP(MKNOD)}};
    int rv = tarball_open_tree(strcmp(argv[4], "live") == 0, err);
    for (size_t i = 0; rv == 0 && i < ARRAY_SIZE(works); i++) {
        cleanup_close int fd = -1;
        struct confine confine = {.folder = argv[2],
                                  .capabilities = works[i].capabilities,
                                  .max_file_bytes = max_bytes,
                                  .keep_fds = 1};
        if (strcmp(argv[1], works[i].name) != 0)
            continue;
        rv = enter(&confine, &fd, err);
        return rv < 0 ? rv : works[i].run(argv[5], argv[6][0] == '1', max_bytes, err);
    }
    return rv;
}

static const struct mode {
    const char *name;
    int argc;
    int (*run)(char **argv, int64_t max_bytes, struct err *err);
} modes[] = {
    {"pull", 5, run_pull},        {"push", 5, run_push},         {"resolve", 5, run_resolve},
    {"check", 5, run_check},      {"load", 4, run_load},         {"unpack", 7, run_unpack},
    {"tar-look", 7, run_tarball}, {"tar-out", 7, run_tarball},   {"tar-in", 7, run_tarball},
    {"tar-fill", 7, run_tarball}, {"tar-layer", 7, run_tarball},
};

int main(int argc, char **argv)
{
    struct err err = {0};
    int64_t max_bytes;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (argc != modes[i].argc || strcmp(argv[1], modes[i].name) != 0)
            continue;
        int rv = parse_bytes(argv[3], &max_bytes, &err);
        if (rv == 0)
            rv = modes[i].run(argv, max_bytes, &err);
        report_end(rv < 0 ? &err : NULL);
        return rv < 0;
    }
    fputs("wherry-image is started by wherry; there is nothing to run by hand\n", stderr);
    return 2;
}
