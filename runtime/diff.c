/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/diff.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container_record.h"
#include "runtime/image.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    LAYERS_MAX = 500,
    DEPTH_MAX = 256,
    /* Of names that are held at a time, of all folders on the way down: a container makes as many
     * as it has room for, and this is the daemon's memory. */
    NAMES_BYTES_MAX = 2 * DIFF_BYTES_MAX,
};

struct diff {
    int layers[LAYERS_MAX]; /* topmost first */
    size_t layers_n;
    struct container_change *changes;
    size_t n;
    size_t bytes;
    size_t names_bytes;
    bool full; /* no more changes */
    bool cut;  /* something was left out */
};

static void add(struct diff *d, char kind, const char *path)
{
    d->bytes += strlen(path) + 2;
    if (d->n == DIFF_CHANGES_MAX || d->bytes > DIFF_BYTES_MAX) {
        d->full = d->cut = true;
        return;
    }
    if ((d->n & (d->n - 1)) == 0)
        d->changes = mem_resize(d->changes, d->n ? 2 * d->n : 1, sizeof(*d->changes));
    d->changes[d->n++] = (struct container_change){kind, str_printf("/%s", path)};
}

static int open_beneath(int fd, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, fd, path, &how, sizeof(how));
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static bool is_opaque(int fd)
{
    char value[2] = "";
    return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) > 0 && value[0] == 'y';
}

enum found {
    ABSENT,
    PRESENT,
    HIDDEN, /* this layer says that those below do not count */
};

/* What one layer says of @path: each folder on the way there may end the matter. */
static enum found look_in(int layer, const char *path)
{
    cleanup_free char *part = str_copy(path);
    bool opaque = false;
    for (char *p = part;; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        struct stat st;
        *p = '\0';
        cleanup_close int fd = open_beneath(layer, part, O_PATH);
        if (fd < 0 || fstat(fd, &st) < 0)
            return opaque ? HIDDEN : ABSENT;
        if (is_whiteout(&st))
            return HIDDEN;
        if (!end)
            return PRESENT;
        if (!S_ISDIR(st.st_mode))
            return HIDDEN;
        cleanup_close int folder = open_beneath(layer, part, O_RDONLY | O_DIRECTORY);
        opaque |= folder >= 0 && is_opaque(folder);
        *p = end;
    }
}

/* From layer @from on. */
static bool is_below(const struct diff *d, const char *path)
{
    for (size_t i = 0; i < d->layers_n; i++) {
        enum found found = look_in(d->layers[i], path);
        if (found != ABSENT)
            return found == PRESENT;
    }
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t name_bytes(const char *name)
{
    return strlen(name) + sizeof(char *);
}

static void free_name(struct diff *d, char *name)
{
    d->names_bytes -= name_bytes(name);
    free(name);
}

/* Names in a folder, in order, as far as there is room for them; @n may have some already. Closes
 * @fd. */
static char **list(struct diff *d, int fd, char **names, size_t *n)
{
    DIR *dir = fdopendir(fd);
    if (!dir)
        close(fd);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (d->names_bytes + name_bytes(e->d_name) > NAMES_BYTES_MAX) {
            d->cut = true;
            break;
        }
        d->names_bytes += name_bytes(e->d_name);
        if ((*n & (*n - 1)) == 0)
            names = mem_resize(names, *n ? 2 * *n : 1, sizeof(*names));
        names[(*n)++] = str_copy(e->d_name);
    }
    if (dir)
        closedir(dir);
    if (*n)
        qsort(names, *n, sizeof(*names), compare_names);
    return names;
}

/* What layers have in the folder @path, which the writable layer made anew, and it has not. */
static void add_hidden(struct diff *d, int upper, const char *path)
{
    char **names = NULL;
    size_t n = 0;
    for (size_t i = 0; i < d->layers_n; i++) {
        int fd = open_beneath(d->layers[i], path, O_RDONLY | O_DIRECTORY);
        if (fd >= 0)
            names = list(d, fd, names, &n);
    }
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *below = str_printf("%s/%s", path, names[i]);
        cleanup_close int there = open_beneath(upper, names[i], O_PATH);
        bool again = i > 0 && strcmp(names[i], names[i - 1]) == 0;
        if (!again && there < 0 && is_below(d, below))
            add(d, 'D', below);
    }
    for (size_t i = 0; i < n; i++)
        free_name(d, names[i]);
    free(names);
}

static void walk(struct diff *d, int fd, const char *path, int depth)
{
    char **names = NULL;
    size_t n = 0;
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0)
        return;
    names = list(d, again, names, &n);
    for (size_t i = 0; i < n; i++) {
        char *name = names[i];
        cleanup_free char *below = *path ? str_printf("%s/%s", path, name) : str_copy(name);
        struct stat st;
        d->cut |= depth > DEPTH_MAX;
        if (d->full || depth > DEPTH_MAX || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (is_whiteout(&st)) {
            add(d, 'D', below);
            continue;
        }
        add(d, is_below(d, below) ? 'C' : 'A', below);
        if (!S_ISDIR(st.st_mode))
            continue;
        cleanup_close int folder =
            openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
            continue;
        if (is_opaque(folder))
            add_hidden(d, folder, below);
        walk(d, folder, below, depth + 1);
    }
    for (size_t i = 0; i < n; i++)
        free_name(d, names[i]);
    free(names);
}

static int compare_changes(const void *a, const void *b)
{
    const struct container_change *x = a, *y = b;
    return strcmp(x->path, y->path);
}

int diff_folders(const char *upper, const char *const *layers, struct container_change **ret,
                 size_t *ret_n, bool *ret_cut, struct err *err)
{
    struct diff *d = mem_alloc(1, sizeof(*d));
    size_t n = 0;
    int rv = 0;
    while (layers && layers[n])
        n++;
    for (size_t i = n < LAYERS_MAX ? n : LAYERS_MAX; i-- > 0 && rv == 0;) {
        int fd = open(layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            rv = err_errno(err, errno, "open layer %s", layers[i]);
        else
            d->layers[d->layers_n++] = fd;
    }
    cleanup_close int fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rv == 0 && fd < 0)
        rv = err_errno(err, errno, "open %s", upper);
    if (rv == 0) {
        walk(d, fd, "", 0);
        if (d->n)
            qsort(d->changes, d->n, sizeof(*d->changes), compare_changes);
        *ret = d->changes;
        *ret_n = d->n;
        *ret_cut = d->cut;
    }
    for (size_t i = 0; i < d->layers_n; i++)
        close(d->layers[i]);
    free(d);
    return rv;
}

int container_diff(struct runtime *rt, const char *id, struct container_change **ret, size_t *ret_n,
                   bool *ret_cut, struct err *err)
{
    cleanup_record struct container_record record = {0};
    struct image image = {0};
    int rv = container_record_load(rt, id, &record, err);
    if (rv < 0 || (rv = image_find(rt, record.image_digest, &image, err)) < 0)
        return rv;
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *upper = str_printf("%s/upper", dir);
    rv = diff_folders(upper, (const char *const *)image.layer_dirs, ret, ret_n, ret_cut, err);
    image_release(&image);
    return rv;
}

void container_changes_free(struct container_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(changes[i].path);
    free(changes);
}
