/* SPDX-License-Identifier: Apache-2.0 */
/* Which volumes there are, who uses them, how large they are. */
#include "runtime/volume.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VOLUMES_MAX = 65536,
    DEPTH_MAX = 64, /* folders below each other: a descriptor each */
};

void volume_list_free(struct volume_state *volumes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t u = 0; u < volumes[i].users_n; u++)
            free(volumes[i].users[u]);
        free(volumes[i].users);
        free(volumes[i].name);
        free(volumes[i].path);
    }
    free(volumes);
}

/* --- who uses them ---------------------------------------------------------------------------- */

/* True when @source is @path or below it. */
static bool is_in(const char *source, const char *path)
{
    size_t len = strlen(path);
    return strncmp(source, path, len) == 0 && (source[len] == '\0' || source[len] == '/');
}

static void add_user(struct volume_state *v, const struct container_spec *spec, const char *id)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        if (!is_in(spec->mounts[i].source, v->path))
            continue;
        v->users = mem_resize(v->users, v->users_n + 1, sizeof(*v->users));
        v->users[v->users_n++] = str_copy(id);
        return;
    }
}

static int find_users(struct runtime *rt, bool tolerant, struct volume_state *volumes, size_t n,
                      struct err *err)
{
    char **ids = NULL;
    int rv = container_list(rt, &ids, err);
    if (rv < 0)
        return rv;
    for (char **id = ids; *id && rv == 0; id++) {
        cleanup_record struct container_record record = {0};
        struct err why = {0};
        int loaded = container_record_load(rt, *id, &record, &why);
        for (size_t i = 0; i < n && loaded == 0; i++)
            add_user(&volumes[i], &record.spec, *id);
        if (loaded < 0 && loaded != ERR_NOTFOUND && !tolerant) {
            if (err)
                *err = why;
            rv = loaded;
        }
    }
    image_strings_free(ids);
    return rv;
}

/* --- which there are -------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct volume_state *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int volume_list(struct runtime *rt, const char *name, bool tolerant, struct volume_state **ret,
                size_t *ret_n, struct err *err)
{
    cleanup_free char *parent = str_printf("%s/volumes", rt->data_dir);
    struct volume_state *volumes = NULL;
    size_t n = 0;
    DIR *dir = opendir(parent);
    if (!dir && errno != ENOENT)
        return err_errno(err, errno, "list %s", parent);
    for (struct dirent *e; dir && (e = readdir(dir)) && n < VOLUMES_MAX;) {
        struct stat st;
        if (!volume_name_ok(e->d_name) || (name && strcmp(name, e->d_name) != 0) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            continue;
        volumes = mem_resize(volumes, n + 1, sizeof(*volumes));
        volumes[n++] = (struct volume_state){.name = str_copy(e->d_name),
                                             .path = str_printf("%s/%s", parent, e->d_name),
                                             .created_ms = file_born_ms(dirfd(dir), e->d_name)};
    }
    if (dir)
        closedir(dir);
    if (n > 0)
        qsort(volumes, n, sizeof(*volumes), compare);
    int rv = n > 0 ? find_users(rt, tolerant, volumes, n, err) : 0;
    if (rv < 0) {
        volume_list_free(volumes, n);
        return rv;
    }
    *ret = volumes;
    *ret_n = n;
    return 0;
}

/* --- how large they are ----------------------------------------------------------------------- */

/* Takes @fd. */
static void measure(struct volume_state *v, int fd, dev_t device, int depth, int64_t *entries)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        v->size_cut = true;
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (--*entries < 0) {
            v->size_cut = true;
            break;
        }
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
            continue;
        v->size_bytes += (int64_t)st.st_blocks * 512;
        if (!S_ISDIR(st.st_mode))
            continue;
        int sub = depth < DEPTH_MAX ? openat(dirfd(dir), e->d_name,
                                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                    : -1;
        if (sub < 0)
            v->size_cut = true;
        else
            measure(v, sub, device, depth + 1, entries);
    }
    closedir(dir);
}

void volume_measure(struct volume_state *volume, int64_t *entries)
{
    struct stat st;
    int fd = open(volume->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    volume->size_bytes = 0;
    volume->size_cut = false;
    volume->limit_bytes = disk_quota_of(volume->path);
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0)
            close(fd);
        volume->size_cut = true;
        return;
    }
    volume->size_bytes = (int64_t)st.st_blocks * 512;
    measure(volume, fd, st.st_dev, 0, entries);
}
