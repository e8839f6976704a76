/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/copy.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/image_helper.h"
#include "runtime/image_store.h"
#include "runtime/internal.h"
#include "runtime/snapshot.h"
#include "runtime/volume.h"
#include "runtime/volume_snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What the helper works on. */
struct place {
    int fd;     /* its descriptor 3 */
    bool live;  /* it is a folder of /proc */
    char *path; /* in there */
};

static void place_release(struct place *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->path);
}

static bool folder_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = true;
    for (struct dirent *e; dir && empty && (e = readdir(dir));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (dir)
        closedir(dir);
    return empty;
}

/* --- where ------------------------------------------------------------------------------------ */

/* "/a//b/../c" → "/a/c", by the text alone; a slash or dot at its end stays. */
static char *clean_path(const char *path)
{
    char *out = mem_alloc(strlen(path) + 2, 1);
    size_t n = 0;
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        bool dot = len == 1 && p[0] == '.' && p[1] == '/',
             up = len == 2 && p[0] == '.' && p[1] == '.';
        if (up)
            while (n > 0 && out[--n] != '/')
                ;
        else if (len > 0 && !dot) {
            out[n++] = '/';
            memcpy(out + n, p, len);
            n += len;
        }
        p += len;
        p += *p == '/';
        if (!*p && p[-1] == '/')
            out[n++] = '/';
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = '\0';
    return out;
}

static int clone_tree(const char *path, struct place *ret, struct err *err)
{
    ret->fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    return ret->fd < 0 ? err_errno(err, errno, "open %.150s", path) : 0;
}

/* The mount of @spec that @path is in: the longest target that begins it. */
static const struct container_mount *mount_of(const struct container_spec *spec, const char *path)
{
    const struct container_mount *best = NULL;
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct container_mount *m = &spec->mounts[i];
        size_t len = strlen(m->target);
        if (strncmp(path, m->target, len) == 0 && (path[len] == '/' || path[len] == '\0') &&
            (!best || len > strlen(best->target)))
            best = m;
    }
    return best;
}

static int mount_root(struct runtime *rt, const char *id, const struct container_record *record,
                      struct place *ret, struct err *err)
{
    struct image image = {0};
    int rv = image_find(rt, record->image_digest, &image, err);
    if (rv < 0)
        return rv;
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *scratch = str_printf("%s/copy-%s", rt->run_dir, id);
    if ((rv = file_mkdirs(scratch, 0700, err)) == 0)
        rv = snapshot_mount(dir, (const char *const *)image.layer_dirs, scratch, &ret->fd, err);
    rmdir(scratch);
    image_release(&image);
    return rv;
}

static int find_stopped(struct runtime *rt, const char *id, const char *path, bool writing,
                        struct place *ret, struct err *err)
{
    cleanup_record struct container_record record = {0};
    int rv = container_record_load(rt, id, &record, err);
    if (rv < 0)
        return rv;
    const struct container_mount *m = mount_of(&record.spec, path);
    if (writing && (m ? m->read_only : record.spec.read_only))
        return err_set(err, ERR_DENIED, "%.100s is read-only in container %s", path, id);
    struct stat st;
    if (m && stat(m->source, &st) == 0 && S_ISDIR(st.st_mode)) {
        const char *rest = path + strlen(m->target);
        ret->path = str_printf("/%s", *rest == '/' ? rest + 1 : rest);
        return clone_tree(m->source, ret, err);
    }
    ret->path = str_copy(path);
    return mount_root(rt, id, &record, ret, err);
}

static int find_place(struct runtime *rt, const char *id, const char *path, bool writing,
                      struct place *ret, struct err *err)
{
    struct container_state state, after;
    *ret = (struct place){.fd = -1};
    if (!*path || strlen(path) >= 4096)
        return err_set(err, ERR_INVALID, "no path, or one that is too long");
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    cleanup_free char *clean = clean_path(path);
    if (state.status != CONTAINER_RUNNING)
        return find_stopped(rt, id, clean, writing, ret, err);
    cleanup_free char *proc = str_printf("/proc/%d", (int)state.pid);
    ret->live = true;
    ret->path = str_copy(path);
    ret->fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* The descriptor is that process's for ever, if it was it a moment ago. */
    if (ret->fd < 0 || container_state(rt, id, &after, NULL) < 0 || after.pid != state.pid)
        return err_set(err, ERR_BUSY, "container %s ended just now: try again", id);
    return 0;
}

/* --- the helper ------------------------------------------------------------------------------- */

static int run(struct runtime *rt, struct image_helper_job *job, const struct place *place,
               const char *mode, int64_t max_bytes, const char *path, const char *flag,
               struct err *err)
{
    char max[24];
    cleanup_free char *folder = str_printf("%s/empty", rt->run_dir);
    int rv = file_mkdirs(folder, 0755, err);
    if (rv < 0)
        return rv;
    snprintf(max, sizeof(max), "%lld", (long long)max_bytes);
    const char *const argv[] = {mode, folder, max, place->live ? "live" : "tree", path, flag, NULL};
    job->argv = argv;
    job->input_fd = place->fd;
    return image_helper_run(rt, job, err);
}

static int on_look(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                   struct err *err)
{
    struct container_file *f = arg;
    int parent, end = 0;
    unsigned mode;
    long long size;
    (void)ret_answer;
    if (n != 2 || strcmp(words[0], "look") != 0 || !image_helper_decode(words[1]) ||
        sscanf(words[1], "%7s %d %u %lld %n", f->kind, &parent, &mode, &size, &end) != 4 || !end)
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    f->parent = parent != 0;
    f->mode = mode;
    f->size = size;
    str_fill(f->link, sizeof(f->link), words[1] + end);
    return 0;
}

int container_look(struct runtime *rt, const char *id, const char *path, struct container_file *ret,
                   struct err *err)
{
    struct place place;
    struct container_file file = {0};
    struct image_helper_job job = {.label = id, .second_fd = -1, .on_line = on_look, .arg = &file};
    int rv = find_place(rt, id, path, false, &place, err);
    if (rv == 0)
        rv = run(rt, &job, &place, "tar-look", 1, place.path, "0", err);
    place_release(&place);
    if (rv == 0)
        *ret = file;
    return rv;
}

int container_copy_out(struct runtime *rt, const char *id, const char *path, int fd,
                       int64_t max_bytes, image_progress_cb progress, void *arg, struct err *err)
{
    struct place place;
    struct image_helper_job job = {
        .label = id, .second_fd = fd, .progress = progress, .progress_arg = arg};
    int rv = find_place(rt, id, path, false, &place, err);
    if (rv == 0)
        rv = run(rt, &job, &place, "tar-out", max_bytes, place.path, "0", err);
    place_release(&place);
    return rv < 0 ? err_wrap(err, "copy from container %s", id) : 0;
}

int container_copy_in(struct runtime *rt, const char *id, const char *path, int fd, bool owners,
                      image_progress_cb progress, void *arg, struct err *err)
{
    struct place place;
    struct image_helper_job job = {
        .label = id, .second_fd = fd, .progress = progress, .progress_arg = arg};
    int64_t room = image_store_room(rt);
    if (room == 0)
        return err_set(err, ERR_NOSPACE, "there is no room left at %s", rt->data_dir);
    int rv = find_place(rt, id, path, true, &place, err);
    if (rv == 0)
        rv = run(rt, &job, &place, "tar-in", room, place.path, owners ? "1" : "0", err);
    place_release(&place);
    return rv < 0 ? err_wrap(err, "copy into container %s", id) : 0;
}

/* --- volumes ---------------------------------------------------------------------------------- */

static int volume_path(struct runtime *rt, const char *name, char **ret, struct err *err)
{
    struct volume_state *volumes;
    size_t n;
    int rv = volume_list(rt, name, false, &volumes, &n, err);
    if (rv < 0)
        return rv;
    if (n == 0)
        rv = err_set(err, ERR_NOTFOUND, "there is no volume '%.130s' on this machine", name);
    else
        *ret = str_copy(volumes[0].path);
    volume_list_free(volumes, n);
    return rv;
}

int volume_copy_out(struct runtime *rt, const char *name, const char *snapshot, int fd,
                    int64_t max_bytes, image_progress_cb progress, void *arg, struct err *err)
{
    struct place place = {.fd = -1};
    struct image_helper_job job = {
        .label = name, .second_fd = fd, .progress = progress, .progress_arg = arg};
    cleanup_free char *path = NULL;
    int rv = *str_or_empty(snapshot) ? volume_snapshot_path(rt, name, snapshot, &path, err)
                                     : volume_path(rt, name, &path, err);
    if (rv == 0)
        rv = clone_tree(path, &place, err);
    if (rv == 0)
        rv = run(rt, &job, &place, "tar-out", max_bytes, "/", "0", err);
    place_release(&place);
    return rv;
}

/* Nobody has it, and there is nothing in it that is to stay. */
static int check_target(struct runtime *rt, const char *name, bool replace, struct err *err)
{
    struct volume_state *volumes;
    size_t n;
    int rv = volume_list(rt, name, false, &volumes, &n, err);
    if (rv < 0)
        return rv;
    if (n > 0 && volumes[0].users_n > 0)
        rv = err_set(err, ERR_CONFLICT, "volume %.130s is used by container %.40s", name,
                     volumes[0].users[0]);
    else if (n > 0 && !replace && !folder_is_empty(volumes[0].path))
        rv = err_set(err, ERR_EXISTS, "volume %.130s is not empty: --force replaces what is in it",
                     name);
    volume_list_free(volumes, n);
    return rv;
}

/* Unpack, and let no power cut take it back. */
static int fill(struct runtime *rt, const char *path, struct image_helper_job *job, int64_t room,
                struct err *err)
{
    struct place place = {.fd = -1};
    cleanup_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0)
        return err_errno(err, errno, "open %s", path);
    int rv = clone_tree(path, &place, err);
    if (rv == 0)
        rv = run(rt, job, &place, "tar-fill", room, "/", "1", err);
    place_release(&place);
    if (rv == 0 && syncfs(folder) < 0)
        rv = err_errno(err, errno, "write %s to disk", path);
    return rv;
}

int volume_copy_in(struct runtime *rt, const char *name, int fd, bool replace,
                   image_progress_cb progress, void *arg, struct err *err)
{
    struct image_helper_job job = {
        .label = name, .second_fd = fd, .progress = progress, .progress_arg = arg};
    cleanup_free char *path = NULL;
    int64_t room = image_store_room(rt);
    struct err later;
    if (room == 0)
        return err_set(err, ERR_NOSPACE, "there is no room left at %s", rt->data_dir);
    int rv = check_target(rt, name, replace, err);
    if (rv == 0 && replace)
        rv = volume_remove(rt, name, err);
    if (rv == 0)
        rv = volume_ensure(rt, name, &path, err);
    if (rv < 0)
        return rv;
    rv = fill(rt, path, &job, room, err);
    if (rv < 0 && volume_remove(rt, name, &later) == 0) {
        free(steal(&path));
        volume_ensure(rt, name, &path, &later);
    }
    return rv;
}

/* --- the writable layer ----------------------------------------------------------------------- */

struct layer_copy {
    int upper_fd;
};

/* trusted.overlay.* is only for those with CAP_SYS_ADMIN to see, which the helper has not. */
static int on_layer_line(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                         struct err *err)
{
    struct layer_copy *l = arg;
    char value[2] = "";
    if (n != 2 || strcmp(words[0], "opaque") != 0 || !image_helper_decode(words[1]))
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    cleanup_close int fd = (int)syscall(SYS_openat2, l->upper_fd, words[1], &how, sizeof(how));
    bool opaque = fd >= 0 && fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) > 0 &&
                  value[0] == 'y';
    *ret_answer = opaque ? IMAGE_ANSWER_YES : IMAGE_ANSWER_NO;
    return 0;
}

int copy_layer(struct runtime *rt, const char *id, int fd, int64_t max_bytes,
               image_progress_cb progress, void *arg, struct err *err)
{
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *upper = str_printf("%s/upper", dir);
    cleanup_close int upper_fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct layer_copy l = {.upper_fd = upper_fd};
    struct place place = {.fd = -1};
    struct image_helper_job job = {.label = id,
                                   .second_fd = fd,
                                   .progress = progress,
                                   .progress_arg = arg,
                                   .on_line = on_layer_line,
                                   .arg = &l};
    if (upper_fd < 0)
        return err_errno(err, errno, "open %s", upper);
    int rv = clone_tree(upper, &place, err);
    if (rv == 0)
        rv = run(rt, &job, &place, "tar-layer", max_bytes, "/", "0", err);
    place_release(&place);
    return rv;
}
