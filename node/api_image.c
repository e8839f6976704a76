/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs that change the images of this member by jobs. An archive arrives in pieces (image.upload)
 * in a file of the data folder; loading, pulling, pruning and checking run as jobs whose progress
 * the caller asks for.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/imagejob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    UPLOAD_PIECE_MAX = 1 << 20,
    UPLOADS_MAX = 16,               /* at a time */
    UPLOAD_IDLE_S = 3600,           /* without a further piece so long: given up */
    UPLOAD_LEAVES_FREE = 256 << 20, /* bytes of the disk that uploads do not take */
    PLAIN_HTTP_MAX = 64,
};

/* --- upload ----------------------------------------------------------------------------------- */

static bool upload_id_is_valid(const char *id)
{
    unsigned char raw[8];
    return hex_decode(str_or_empty(id), raw, sizeof(raw));
}

/* Delete what nobody goes on with (all of it at the start of the daemon) and count the others. */
static size_t clean_uploads(const char *dir, bool all)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (!upload_id_is_valid(e->d_name) || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
            continue;
        if (all || time(NULL) - st.st_mtime > UPLOAD_IDLE_S)
            unlinkat(dirfd(d), e->d_name, 0);
        else
            n++;
    }
    closedir(d);
    return n;
}

void api_clean_uploads(struct daemon *d)
{
    cleanup_free char *dir = str_printf("%s/upload", d->data_dir);
    clean_uploads(dir, true);
}

static int check_room(const char *dir, bool first, struct err *err)
{
    struct statvfs fs;
    if (first && clean_uploads(dir, false) >= UPLOADS_MAX)
        return err_set(err, ERR_BUSY, "%d archives are being uploaded already; try again",
                       UPLOADS_MAX);
    if (statvfs(dir, &fs) < 0)
        return err_errno(err, errno, "look at %s", dir);
    if ((uint64_t)fs.f_bavail * fs.f_frsize < UPLOAD_LEAVES_FREE)
        return err_set(err, ERR_NOSPACE,
                       "the disk of %s has only %llu MB left; free some ('wherry image rm')", dir,
                       (unsigned long long)(((uint64_t)fs.f_bavail * fs.f_frsize) >> 20));
    return 0;
}

static int write_piece(const char *path, const struct upload_request *r, bool first,
                       struct err *err)
{
    cleanup_close int fd =
        open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (first ? O_CREAT | O_EXCL : 0), 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, "upload");
    if (r->offset != st.st_size)
        return err_set(err, ERR_CONFLICT, "the upload has %lld bytes, the next piece is for %lld",
                       (long long)st.st_size, (long long)r->offset);
    if (lseek(fd, 0, SEEK_END) < 0)
        return err_errno(err, errno, "upload");
    int rv = fd_write_all(fd, r->data.data, r->data.len);
    if (rv < 0 && ftruncate(fd, st.st_size) < 0)
        unlink(path); /* neither whole nor as it was */
    return rv < 0 ? err_errno(err, -rv, "write %s", path) : 0;
}

void api_upload(struct api_call *c, const void *request)
{
    const struct upload_request *r = request;
    bool first = !*str_or_empty(r->id);
    unsigned char raw[8];
    char id[2 * sizeof(raw) + 1];
    struct err err = {0};
    if (r->data.len > UPLOAD_PIECE_MAX || (!first && !upload_id_is_valid(r->id)) ||
        (first && r->offset != 0)) {
        api_fail_with(c, ERR_INVALID, "not a piece of an upload");
        return;
    }
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), id);
    if (!first)
        str_fill(id, sizeof(id), r->id);
    cleanup_free char *dir = str_printf("%s/upload", c->daemon->data_dir);
    cleanup_free char *path = str_printf("%s/%s", dir, id);
    if (file_mkdirs(dir, 0700, &err) < 0 || check_room(dir, first, &err) < 0 ||
        write_piece(path, r, first, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct upload_reply reply = {.id = id, .offset = r->offset + (int64_t)r->data.len};
    api_reply(c, &reply);
}

/* --- load and pull ---------------------------------------------------------------------------- */

void api_image_load(struct api_call *c, const void *request)
{
    const struct image_load_request *r = request;
    if (!upload_id_is_valid(r->upload)) {
        api_fail_with(c, ERR_INVALID, "not an upload");
        return;
    }
    cleanup_free char *path = str_printf("%s/upload/%s", c->daemon->data_dir, r->upload);
    char job[IMAGE_JOB_ID];
    struct err err;
    if (image_job_load(c->daemon, path, r->name, job, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct job_reply reply = {.job = job};
    api_reply(c, &reply);
}

void api_image_pull(struct api_call *c, const void *request)
{
    const struct image_pull_request *r = request;
    char job[IMAGE_JOB_ID];
    struct err err;
    if (call_elsewhere(c, r->node, r, 0))
        return;
    if (r->plain_http_n > PLAIN_HTTP_MAX) {
        api_fail_with(c, ERR_INVALID, "at most %d registries can be named", PLAIN_HTTP_MAX);
        return;
    }
    struct image_transfer transfer = {.name = str_or_empty(r->name),
                                      .plain_http = r->plain_http,
                                      .plain_http_n = r->plain_http_n,
                                      .platform = r->platform};
    if (image_job_transfer(c->daemon, &transfer, job, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct job_reply reply = {.job = job};
    api_reply(c, &reply);
}

void api_image_push(struct api_call *c, const void *request)
{
    const struct image_push_request *r = request;
    char job[IMAGE_JOB_ID];
    struct err err;
    if (call_elsewhere(c, r->node, r, 0))
        return;
    if (r->plain_http_n > PLAIN_HTTP_MAX) {
        api_fail_with(c, ERR_INVALID, "at most %d registries can be named", PLAIN_HTTP_MAX);
        return;
    }
    struct image_transfer transfer = {.push = true,
                                      .name = str_or_empty(r->name),
                                      .plain_http = r->plain_http,
                                      .plain_http_n = r->plain_http_n};
    if (image_job_transfer(c->daemon, &transfer, job, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct job_reply reply = {.job = job};
    api_reply(c, &reply);
}

void api_image_progress(struct api_call *c, const void *request)
{
    const struct job_request *r = request;
    int64_t wait_ms = r->wait_ms < IMAGE_JOB_WAIT_MS ? r->wait_ms : IMAGE_JOB_WAIT_MS;
    if (!call_elsewhere(c, r->node, r, wait_ms))
        image_job_progress(c, request);
}

/* --- prune and check -------------------------------------------------------------------------- */

static void answer_job(struct api_call *c, int rv, char *job, const struct err *err)
{
    struct job_reply reply = {.job = job};
    if (rv < 0)
        api_fail(c, err);
    else
        api_reply(c, &reply);
}

void api_image_prune(struct api_call *c, const void *request)
{
    const struct image_prune_request *r = request;
    char job[IMAGE_JOB_ID];
    struct err err;
    if (call_elsewhere(c, r->node, r, 0))
        return;
    int rv = image_job_prune(c->daemon, r->all, r->dry_run, job, &err);
    answer_job(c, rv, job, &err);
}

void api_image_check(struct api_call *c, const void *request)
{
    const struct image_check_request *r = request;
    char job[IMAGE_JOB_ID];
    struct err err;
    if (call_elsewhere(c, r->node, r, 0))
        return;
    int rv = image_job_check(c->daemon, r->repair, job, &err);
    answer_job(c, rv, job, &err);
}
