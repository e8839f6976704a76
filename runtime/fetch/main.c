/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wherry-image - fetch and unpack images, confined. Started by the runtime only:
 *
 *     wherry-image pull FOLDER MAX-BYTES NAME                   from a registry to the ingest
 * folder wherry-image load FOLDER MAX-BYTES                        from the archive at descriptor 3
 *     wherry-image unpack FOLDER MAX-BYTES DIGEST SIZE DIFF-ID  the layer at descriptor 3 to FOLDER
 *
 * What it says and hears is in report.h, what it gives up first in confine.h.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "runtime/fetch/confine.h"
#include "runtime/fetch/layer.h"
#include "runtime/fetch/load.h"
#include "runtime/fetch/pull.h"
#include "runtime/fetch/report.h"

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

static int run_pull(char **argv, int64_t max_bytes, struct err *err)
{
    cleanup_close int fd = -1;
    struct confine confine = {.folder = argv[2], .network = true, .max_file_bytes = max_bytes};
    int rv = enter(&confine, &fd, err);
    return rv < 0 ? rv : pull_image(argv[4], fd, max_bytes, err);
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

static const struct mode {
    const char *name;
    int argc;
    int (*run)(char **argv, int64_t max_bytes, struct err *err);
} modes[] = {
    {"pull", 5, run_pull},
    {"load", 4, run_load},
    {"unpack", 7, run_unpack},
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
