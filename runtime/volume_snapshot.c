/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volume_snapshot.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/freeze.h"
#include "runtime/internal.h"
#include "runtime/quota.h"
#include "runtime/tree_copy.h"
#include "runtime/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FROZEN_TEXT_MAX = 1 << 16,
};

/* --- folders ------------------------------------------------------------------------------- */

static char *parent_of(const struct runtime *rt, const char *volume)
{
    return str_printf("%s/volumes/.snapshots/%s", rt->data_dir, volume);
}

static int check_names(const char *volume, const char *name, struct err *err)
{
    if (!volume_name_ok(volume))
        return err_set(err, ERR_INVALID, "'%.140s' is no name of a volume", volume);
    if (!volume_name_ok(name))
        return err_set(err, ERR_INVALID,
                       "'%.140s' is no name for a snapshot: 1 to 128 of a-z, A-Z, 0-9, _ . -, not "
                       "with a dot first",
                       name);
    return 0;
}

/* Files of @dir can share blocks. */
static int check_reflinks(const char *dir, struct err *err)
{
    cleanup_close int a = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    cleanup_close int b = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (a >= 0 && b >= 0 && ioctl(b, FICLONE, a) == 0)
        return 0;
    return err_set(
        err, ERR_UNSUPPORTED,
        "the file system of %.100s cannot share blocks between files: snapshots take XFS "
        "or btrfs; 'wherry volume backup' works on all",
        dir);
}

int volume_snapshot_path(struct runtime *rt, const char *volume, const char *name, char **ret,
                         struct err *err)
{
    int rv = check_names(volume, name, err);
    if (rv < 0)
        return rv;
    cleanup_free char *parent = parent_of(rt, volume);
    cleanup_free char *path = str_printf("%s/%s", parent, name);
    if (!file_exists(path))
        return err_set(err, ERR_NOTFOUND,
                       "volume %.100s has no snapshot '%.100s' on this machine ('wherry volume "
                       "snapshot ls' lists them)",
                       volume, name);
    *ret = steal(&path);
    return 0;
}

/* A copy of folder @from as @fresh, of the project of @limit (NULL: none), on the disk. */
static int copy_to(const char *from, const char *fresh, const char *limit, struct err *err)
{
    struct err ignored;
    file_remove_tree(fresh, &ignored);
    if (mkdir(fresh, 0700) < 0)
        return err_errno(err, errno, "make %s", fresh);
    int rv = limit ? disk_quota_follow(fresh, limit, err) : 0;
    cleanup_close int in = open(from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_close int out = open(fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (rv == 0 && (in < 0 || out < 0))
        rv = err_errno(err, errno, "open %s", in < 0 ? from : fresh);
    return rv < 0 ? rv : tree_copy(in, out, err);
}

/* --- freezing ------------------------------------------------------------------------------ */

/* Which containers are frozen for a snapshot stands in a file that goes with the machine's power:
 * another daemon thaws them if this one cannot. */
static char *frozen_file(const struct runtime *rt)
{
    return str_printf("%s/frozen", rt->run_dir);
}

static void thaw(struct runtime *rt, char *ids)
{
    cleanup_free char *path = frozen_file(rt);
    char *save = NULL;
    struct err err;
    for (char *id = strtok_r(ids, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
        int rv = container_resume(rt, id, &err);
        if (rv < 0 && rv != ERR_NOTFOUND)
            log_warn("volume", "let container %s go on: %s", id, err.msg);
    }
    unlink(path);
}

/* Freeze what runs of @users and is not paused already; their ids to @frozen, which thaw() takes.
 */
static int freeze(struct runtime *rt, char *const *users, size_t n, struct buf *frozen,
                  struct err *err)
{
    cleanup_free char *path = frozen_file(rt);
    cleanup_buf struct buf running = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        struct container_state state;
        struct err ignored;
        if (container_state(rt, users[i], &state, &ignored) == 0 &&
            state.status == CONTAINER_RUNNING && !state.paused)
            buf_printf(&running, "%s\n", users[i]);
    }
    if (running.len == 0)
        return 0;
    int rv = file_write_fast(path, running.data, running.len, 0600, err);
    buf_append(frozen, running.data, running.len);
    buf_putc(frozen, '\0');
    char *save = NULL;
    for (char *id = strtok_r(running.data, "\n", &save); id && rv == 0;
         id = strtok_r(NULL, "\n", &save))
        if (container_pause(rt, id, err) < 0 && err->code != ERR_NOTFOUND)
            rv = err->code;
    return rv;
}

void volume_snapshot_recover(struct runtime *rt)
{
    cleanup_free char *path = frozen_file(rt);
    cleanup_buf struct buf ids = BUF_INIT;
    struct err err;
    if (!file_exists(path) || file_read(path, FROZEN_TEXT_MAX, &ids, &err) < 0)
        return;
    buf_putc(&ids, '\0');
    thaw(rt, ids.data);
}

/* --- make ---------------------------------------------------------------------------------- */

/* Copy @v as @fresh, of one moment unless @running. */
static int copy_frozen(struct runtime *rt, const struct volume_state *v, const char *fresh,
                       bool running, int64_t *ret_frozen_ms, struct err *err)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER; /* freezes at a time */
    cleanup_buf struct buf frozen = BUF_INIT;
    int64_t since = clock_boot_ms();
    check(pthread_mutex_lock(&one) == 0);
    int rv = running ? 0 : freeze(rt, v->users, v->users_n, &frozen, err);
    if (rv == 0)
        rv = copy_to(v->path, fresh, NULL, err);
    if (frozen.len > 0)
        thaw(rt, frozen.data);
    check(pthread_mutex_unlock(&one) == 0);
    *ret_frozen_ms = frozen.len > 0 ? clock_boot_ms() - since : 0;
    return rv;
}

/* What was written as @fresh is @path now, durably. */
static int put_in_place(const char *fresh, const char *path, const char *parent, struct err *err)
{
    cleanup_close int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || syncfs(dir) < 0)
        return err_errno(err, errno, "write %s to disk", fresh);
    if (rename(fresh, path) < 0)
        return err_errno(err, errno, "put %s in its place", fresh);
    return file_sync_dir(parent, err);
}

static int make(struct runtime *rt, const struct volume_state *v, const char *name, bool running,
                int64_t *ret_frozen_ms, struct err *err)
{
    cleanup_free char *parent = parent_of(rt, v->name);
    cleanup_free char *path = str_printf("%s/%s", parent, name);
    cleanup_free char *fresh = str_printf("%s/.new-%s", parent, name);
    struct err ignored;
    if (file_mkdirs(parent, 0700, err) < 0 || check_reflinks(parent, err) < 0)
        return err->code;
    if (file_exists(path))
        return err_set(err, ERR_EXISTS, "volume %.100s has a snapshot '%.100s' already", v->name,
                       name);
    int rv = copy_frozen(rt, v, fresh, running, ret_frozen_ms, err);
    if (rv == 0)
        rv = put_in_place(fresh, path, parent, err);
    if (rv < 0)
        file_remove_tree(fresh, &ignored);
    return rv;
}

int volume_snapshot_make(struct runtime *rt, const char *volume, const char *name, bool running,
                         int64_t *ret_frozen_ms, struct err *err)
{
    struct volume_state *volumes;
    size_t n;
    *ret_frozen_ms = 0;
    int rv = check_names(volume, name, err);
    if (rv == 0)
        rv = volume_list(rt, volume, false, &volumes, &n, err);
    if (rv < 0)
        return rv;
    if (n == 0)
        rv = err_set(err, ERR_NOTFOUND, "there is no volume '%.130s' on this machine", volume);
    else
        rv = make(rt, &volumes[0], name, running, ret_frozen_ms, err);
    volume_list_free(volumes, n);
    return rv < 0 ? err_wrap(err, "snapshot of volume %.100s", volume) : 0;
}

/* --- list and remove ----------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct volume_snapshot *x = a, *y = b;
    int order = strcmp(x->volume, y->volume);
    return order ? order : strcmp(x->name, y->name);
}

static void add_of(struct runtime *rt, const char *volume, struct volume_snapshot **list, size_t *n)
{
    cleanup_free char *parent = parent_of(rt, volume);
    DIR *dir = opendir(parent);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!volume_name_ok(e->d_name))
            continue;
        *list = mem_resize(*list, *n + 1, sizeof(**list));
        (*list)[(*n)++] =
            (struct volume_snapshot){.volume = str_copy(volume),
                                     .name = str_copy(e->d_name),
                                     .created_ms = file_born_ms(dirfd(dir), e->d_name)};
    }
    if (dir)
        closedir(dir);
}

int volume_snapshots(struct runtime *rt, const char *volume, struct volume_snapshot **ret,
                     size_t *ret_n, struct err *err)
{
    cleanup_free char *all = str_printf("%s/volumes/.snapshots", rt->data_dir);
    *ret = NULL;
    *ret_n = 0;
    if (volume && !volume_name_ok(volume))
        return err_set(err, ERR_INVALID, "'%.140s' is no name of a volume", volume);
    if (volume) {
        add_of(rt, volume, ret, ret_n);
    } else {
        DIR *dir = opendir(all);
        for (struct dirent *e; dir && (e = readdir(dir));)
            if (volume_name_ok(e->d_name))
                add_of(rt, e->d_name, ret, ret_n);
        if (dir)
            closedir(dir);
    }
    if (*ret_n)
        qsort(*ret, *ret_n, sizeof(**ret), compare);
    return 0;
}

void volume_snapshots_free(struct volume_snapshot *snapshots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(snapshots[i].volume);
        free(snapshots[i].name);
    }
    free(snapshots);
}

int volume_snapshot_remove(struct runtime *rt, const char *volume, const char *name,
                           struct err *err)
{
    cleanup_free char *parent = parent_of(rt, volume);
    cleanup_free char *path = NULL;
    int rv = volume_snapshot_path(rt, volume, name, &path, err);
    if (rv < 0)
        return rv;
    cleanup_free char *gone = str_printf("%s/.old-%s", parent, name);
    struct err ignored;
    file_remove_tree(gone, &ignored);
    if (rename(path, gone) < 0) /* a half of one is none */
        return err_errno(err, errno, "delete %s", path);
    rv = file_remove_tree(gone, err);
    rmdir(parent); /* the last one's */
    return rv;
}

/* --- restore ------------------------------------------------------------------------------- */

static int check_unused(struct runtime *rt, const char *volume, struct err *err)
{
    struct volume_state *volumes;
    size_t n;
    int rv = volume_list(rt, volume, false, &volumes, &n, err);
    if (rv < 0)
        return rv;
    if (n > 0 && volumes[0].users_n > 0)
        rv = err_set(err, ERR_CONFLICT,
                     "volume %.100s is used by container %.40s: 'wherry stop' its service first",
                     volume, volumes[0].users[0]);
    volume_list_free(volumes, n);
    return rv;
}

int volume_snapshot_restore(struct runtime *rt, const char *volume, const char *name,
                            struct err *err)
{
    cleanup_free char *snapshot = NULL, *path = NULL;
    struct err ignored;
    if (volume_snapshot_path(rt, volume, name, &snapshot, err) < 0 ||
        check_unused(rt, volume, err) < 0 || volume_ensure(rt, volume, &path, err) < 0)
        return err->code;
    cleanup_free char *parent = str_printf("%s/volumes", rt->data_dir);
    cleanup_free char *fresh = str_printf("%s/.restore-%s", parent, volume);
    int rv = copy_to(snapshot, fresh, path, err);
    cleanup_close int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rv == 0 && (dir < 0 || syncfs(dir) < 0))
        rv = err_errno(err, errno, "write %s to disk", fresh);
    if (rv == 0 && renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) < 0)
        rv = err_errno(err, errno, "put %s in its place", fresh);
    if (rv == 0)
        rv = file_sync_dir(parent, err);
    file_remove_tree(fresh, &ignored);
    return rv < 0 ? err_wrap(err, "restore volume %.100s", volume) : 0;
}
