/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_sweep.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/image_store.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    KEEP_BLOBS_S = 24 * 3600,     /* unrecorded: of a pull that failed late */
    KEEP_PARTS_S = 7 * 24 * 3600, /* of a pull that broke off */
};

/* Called for each entry of a folder: should it go? */
typedef int (*wanted_cb)(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                         struct err *err);

static bool older_than(int dir_fd, const char *name, time_t seconds)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           time(NULL) - st.st_mtime > seconds;
}

static int judge_layer(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                       struct err *err)
{
    char *end;
    bool known = false;
    (void)dir_fd;
    long long number = strtoll(name, &end, 10);
    int rv = *end == '\0' ? index_layer_known(rt->index, number, &known, err) : 0;
    *ret_delete = !known;
    return rv;
}

static int judge_blob(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                      struct err *err)
{
    bool known = false;
    cleanup_free char *digest = str_printf("sha256:%s", name);
    int rv = index_blob_known(rt->index, digest, &known, err);
    *ret_delete = !known && older_than(dir_fd, name, KEEP_BLOBS_S);
    return rv;
}

static int judge_ingest(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                        struct err *err)
{
    (void)rt;
    (void)dir_fd;
    (void)err;
    *ret_delete = strcmp(name, "pull") != 0;
    return 0;
}

static int judge_part(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                      struct err *err)
{
    (void)rt;
    (void)err;
    const char *dot = strrchr(name, '.');
    bool part = dot && strcmp(dot, ".part") == 0;
    *ret_delete = !part || older_than(dir_fd, name, KEEP_PARTS_S);
    return 0;
}

/* Parts and unrecorded blobs, whatever their age. */
static int judge_leftover_part(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                               struct err *err)
{
    (void)rt;
    (void)dir_fd;
    (void)name;
    (void)err;
    *ret_delete = true;
    return 0;
}

static int judge_leftover_blob(struct runtime *rt, int dir_fd, const char *name, bool *ret_delete,
                               struct err *err)
{
    bool known = false;
    cleanup_free char *digest = str_printf("sha256:%s", name);
    (void)dir_fd;
    int rv = index_blob_known(rt->index, digest, &known, err);
    *ret_delete = !known;
    return rv;
}

static int64_t disk_bytes_at(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

/* @bytes, what deleting gives, may be NULL. @keep: only count. */
static int sweep_folder(struct runtime *rt, const char *folder, wanted_cb judge, bool keep,
                        int64_t *bytes, struct err *err)
{
    cleanup_free char *path = str_printf("%s/images/%s", rt->data_dir, folder);
    int rv = file_mkdirs(path, 0700, err);
    if (rv < 0)
        return rv;
    DIR *dir = opendir(path);
    if (!dir)
        return err_errno(err, errno, "open folder %s", path);
    for (struct dirent *e; rv == 0 && (e = readdir(dir));) {
        bool gone = false;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        rv = judge(rt, dirfd(dir), e->d_name, &gone, err);
        if (rv == 0 && gone && bytes)
            *bytes += disk_bytes_at(dirfd(dir), e->d_name);
        if (rv == 0 && gone && !keep)
            rv = file_remove_at(dirfd(dir), e->d_name, err);
    }
    closedir(dir);
    return rv;
}

int image_sweep(struct runtime *rt, struct err *err)
{
    int rv = sweep_folder(rt, "layers", judge_layer, false, NULL, err);
    if (rv == 0)
        rv = sweep_folder(rt, "ingest/pull", judge_part, false, NULL, err);
    if (rv == 0)
        rv = sweep_folder(rt, "ingest", judge_ingest, false, NULL, err);
    if (rv == 0)
        rv = sweep_folder(rt, "blobs/sha256", judge_blob, false, NULL, err);
    return rv < 0 ? err_wrap(err, "clean up images") : 0;
}

int image_sweep_leftovers(struct runtime *rt, bool dry_run, int64_t *bytes, struct err *err)
{
    if (image_flight_busy(&index_content(rt->index)->flight))
        return 0;
    int rv = sweep_folder(rt, "ingest/pull", judge_leftover_part, dry_run, bytes, err);
    if (rv == 0)
        rv = sweep_folder(rt, "blobs/sha256", judge_leftover_blob, dry_run, bytes, err);
    return rv;
}

/* Bytes that @path takes on the disk. */
static int64_t disk_bytes(const char *path)
{
    return disk_bytes_at(AT_FDCWD, path);
}

static int64_t delete_layer(struct runtime *rt, int64_t number, int64_t bytes)
{
    struct err err;
    cleanup_free char *path = image_store_layer_path(rt, number);
    if (file_remove_tree(path, &err) == 0)
        return bytes;
    log_warn("image", "an unused layer stays for now: %s", err.msg);
    return 0;
}

static int64_t delete_blob(struct runtime *rt, const char *digest)
{
    cleanup_free char *path = image_store_blob_path(rt, digest);
    int64_t bytes = disk_bytes(path);
    bool deleted;
    int rv = image_flight_delete(&index_content(rt->index)->flight, digest, path, &deleted);
    if (rv < 0)
        log_warn("image", "unused blob %s stays for now: %s", path, strerror(-rv));
    return rv < 0 || !deleted ? 0 : bytes;
}

void image_sweep_landed(struct runtime *rt, const struct image_flight_blob *blobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool known = true;
        if (index_blob_known(rt->index, blobs[i].digest, &known, NULL) == 0 && !known)
            delete_blob(rt, blobs[i].digest);
    }
}

int64_t image_sweep_bytes(struct runtime *rt, const struct index_garbage *garbage)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < garbage->layers_n; i++)
        bytes += garbage->layer_bytes[i];
    for (size_t i = 0; i < garbage->blobs_n; i++) {
        cleanup_free char *path = image_store_blob_path(rt, garbage->blobs[i]);
        bytes += disk_bytes(path);
    }
    return bytes;
}

int64_t image_sweep_garbage(struct runtime *rt)
{
    struct index_garbage garbage;
    struct err err;
    int64_t bytes = 0;
    if (index_collect(rt->index, &garbage, &err) < 0) {
        log_warn("image", "unused images stay for now: %s", err.msg);
        return 0;
    }
    for (size_t i = 0; i < garbage.layers_n; i++)
        bytes += delete_layer(rt, garbage.layers[i], garbage.layer_bytes[i]);
    for (size_t i = 0; i < garbage.blobs_n; i++)
        bytes += delete_blob(rt, garbage.blobs[i]);
    index_garbage_release(&garbage);
    return bytes;
}
