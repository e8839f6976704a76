/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_unpack - unpack one layer by wherry-image, then do what that program may not do or cannot
 * know: mark opaque folders for overlayfs (trusted xattrs are for CAP_SYS_ADMIN), and give folders
 * that the archive did not name the owner, mode and time that they have in the layers below. What
 * is there then is read once: for its digest, and to hold the limits here too, whatever the helper
 * did.
 */
#include "runtime/image_store.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_helper.h"
#include "runtime/image_tree.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    NOTES_MAX_BYTES = 16 << 20, /* of paths that one layer may make us remember */
    NOTE_OVERHEAD_BYTES = 40,
    RATIO_MAX = 200, /* of what a layer unpacks to, to its blob, */
};

#define RATIO_FREE_BYTES (1LL << 30) /* past so much */

struct paths {
    char **paths;
    size_t n;
    size_t cap;
};

/* What the helper said about the layer. */
struct notes {
    struct paths opaque;
    struct paths implied;
    size_t bytes;
    struct runtime *rt;
};

static void add_path(struct paths *paths, const char *path)
{
    if (paths->n == paths->cap) {
        paths->cap = paths->cap ? 2 * paths->cap : 16;
        paths->paths = mem_resize(paths->paths, paths->cap, sizeof(*paths->paths));
    }
    paths->paths[paths->n++] = str_copy(path);
}

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        free(paths->paths[i]);
    free(paths->paths);
}

static int on_line(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                   struct err *err)
{
    struct notes *notes = arg;
    bool opaque = strcmp(words[0], "opaque") == 0;
    (void)ret_answer;
    if (n != 2 || (!opaque && strcmp(words[0], "implied") != 0) || !image_helper_decode(words[1]))
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    notes->bytes += strlen(words[1]) + NOTE_OVERHEAD_BYTES;
    if (notes->bytes > NOTES_MAX_BYTES)
        return err_set(err, ERR_TOOBIG, "the layer has too many opaque or unnamed folders");
    add_path(opaque ? &notes->opaque : &notes->implied, words[1]);
    return 0;
}

/* The helper holds the limits itself; should it not, the disk is not left to it. */
static int on_tick(void *arg, struct err *err)
{
    const struct notes *notes = arg;
    struct image_disk disk = image_store_disk(notes->rt);
    if (disk.free >= image_store_reserve(&disk) / 2)
        return 0;
    return err_set(err, ERR_NOSPACE, "the disk of %s is full", notes->rt->data_dir);
}

/* Open the folder @path of a layer for reading; -errno. */
static int open_in_layer(int root_fd, const char *path, uint64_t resolve)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = resolve | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

static int mark_opaque(int root_fd, const struct paths *paths, struct err *err)
{
    for (size_t i = 0; i < paths->n; i++) {
        cleanup_close int fd = open_in_layer(root_fd, paths->paths[i], RESOLVE_IN_ROOT);
        if (fd == -ENOENT || fd == -ENOTDIR)
            continue; /* the archive replaced it later */
        if (fd < 0)
            return err_errno(err, -fd, "open folder %.100s of the layer", paths->paths[i]);
        if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return err_errno(err, errno, "mark folder %.100s of the layer opaque", paths->paths[i]);
    }
    return 0;
}

static int copy_attributes(int from, int to, struct err *err)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return err_errno(err, errno, "look at a folder of a lower layer");
    struct timespec times[2] = {st.st_mtim, st.st_mtim};
    if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0 ||
        futimens(to, times) < 0)
        return err_errno(err, errno, "set owner and mode of a folder");
    return 0;
}

/* The topmost lower layer that has the folder gives its attributes; with none they stay. */
static int adopt_attributes(struct runtime *rt, int root_fd, const char *path, const int64_t *lower,
                            size_t lower_n, struct err *err)
{
    cleanup_close int to = open_in_layer(root_fd, path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    for (size_t i = lower_n; to >= 0 && i > 0; i--) {
        cleanup_free char *layer = image_store_layer_path(rt, lower[i - 1]);
        cleanup_close int layer_fd = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (layer_fd < 0)
            return err_errno(err, errno, "open layer %s", layer);
        cleanup_close int from =
            open_in_layer(layer_fd, path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (from >= 0)
            return copy_attributes(from, to, err);
        if (from != -ENOENT)
            return 0; /* a file or a whiteout there: nothing shows through */
    }
    return 0;
}

static int finish(struct runtime *rt, const char *path, const struct notes *notes,
                  const int64_t *lower, size_t lower_n, struct err *err)
{
    cleanup_close int root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_errno(err, errno, "open layer %s", path);
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < notes->implied.n; i++)
        rv = adopt_attributes(rt, root_fd, notes->implied.paths[i], lower, lower_n, err);
    return rv < 0 ? rv : mark_opaque(root_fd, &notes->opaque, err);
}

/* What a layer may unpack to: what is free, what the image may still have, and no more than any
 * honest compression makes of its blob. */
static int64_t limit_of(int64_t room, const struct image_blob *blob,
                        const struct image_room *image_room)
{
    int64_t ratio = blob->size < INT64_MAX / RATIO_MAX ? blob->size * RATIO_MAX : INT64_MAX;
    int64_t limit = ratio > RATIO_FREE_BYTES ? ratio : RATIO_FREE_BYTES;
    limit = image_room->bytes < limit ? image_room->bytes : limit;
    return room < limit ? room : limit;
}

static int run_helper(struct runtime *rt, const char *path, const struct image_blob *blob,
                      const char *diff_id, int64_t limit, const struct image_listener *listener,
                      struct notes *notes, struct err *err)
{
    char max[24];
    char size[24];
    snprintf(max, sizeof(max), "%lld", (long long)limit);
    snprintf(size, sizeof(size), "%lld", (long long)blob->size);
    cleanup_free char *blob_path = image_store_blob_path(rt, blob->digest);
    cleanup_close int fd = open(blob_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open blob %s", blob_path);
    const char *const argv[] = {"unpack", path, max, blob->digest, size, diff_id, NULL};
    struct image_helper_job job = {.argv = argv,
                                   .input_fd = fd,
                                   .label = listener->label,
                                   .progress = listener->progress,
                                   .progress_arg = listener->arg,
                                   .on_line = on_line,
                                   .on_tick = on_tick,
                                   .arg = notes};
    int rv = image_helper_run(rt, &job, err);
    if (rv == ERR_CORRUPT) /* it may be our copy that is damaged: the next pull fetches it anew */
        unlink(blob_path);
    return rv;
}

/* What there is now, whatever the helper said of it. */
static int measure(const char *path, int64_t limit, const struct image_room *room,
                   const struct image_listener *listener, struct index_layer *ret, struct err *err)
{
    struct image_tree tree;
    int rv = image_tree_read(path, false, room->entries, limit, NULL, NULL, &tree, err);
    if (rv < 0)
        return err_wrap(err, "%.80s", listener->label);
    str_fill(ret->tree, sizeof(ret->tree), tree.digest);
    ret->bytes = tree.bytes;
    ret->entries = tree.entries;
    return 0;
}

int image_unpack_layer(struct runtime *rt, int64_t number, const struct image_blob *blob,
                       const char *diff_id, const int64_t *lower, size_t lower_n,
                       const struct image_room *image_room, const struct image_listener *listener,
                       struct index_layer *ret_layer, struct err *err)
{
    cleanup_free char *path = image_store_layer_path(rt, number);
    struct notes notes = {.rt = rt};
    int64_t room = image_store_room(rt);
    int64_t limit = limit_of(room, blob, image_room);
    if (room == 0)
        return err_set(err, ERR_NOSPACE, "there is no room for images left at %s", rt->data_dir);
    int rv = file_remove_tree(path, err); /* an unused one that could not be deleted before */
    if (rv < 0)
        return rv;
    if (mkdir(path, 0755) < 0)
        return err_errno(err, errno, "make folder %s", path);
    if (chmod(path, 0755) < 0)
        rv = err_errno(err, errno, "set the mode of %s", path);
    if (rv == 0)
        rv = run_helper(rt, path, blob, diff_id, limit, listener, &notes, err);
    if (rv == 0)
        rv = finish(rt, path, &notes, lower, lower_n, err);
    if (rv == 0)
        rv = measure(path, limit, image_room, listener, ret_layer, err);
    if (rv == ERR_TOOBIG && limit == room)
        rv = err_set(err, ERR_NOSPACE, "%.80s: there is not enough room left at %s",
                     listener->label, rt->data_dir);
    free_paths(&notes.opaque);
    free_paths(&notes.implied);
    if (rv < 0)
        file_remove_tree(path, NULL);
    return rv;
}
