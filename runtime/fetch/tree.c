/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/tree.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int tree_clean(const char *name, char ret[TREE_PATH_MAX], struct err *err)
{
    size_t len = 0;
    int depth = 0;
    for (const char *p = name; *p;) {
        size_t n = strcspn(p, "/");
        bool skip = n == 0 || (n == 1 && p[0] == '.');
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return err_set(err, ERR_CORRUPT, "'%.100s' leads out of the layer by '..'", name);
        if (!skip && (n > TREE_NAME_MAX || len + n + 2 > TREE_PATH_MAX || ++depth > TREE_DEPTH_MAX))
            return err_set(err, ERR_TOOBIG, "'%.100s...': the name is too long or too deep", name);
        if (!skip) {
            if (len)
                ret[len++] = '/';
            memcpy(ret + len, p, n);
            len += n;
        }
        p += n;
        p += *p == '/';
    }
    if (len == 0)
        ret[len++] = '.';
    ret[len] = '\0';
    return 0;
}

/* openat2 inside the root. Returns a descriptor or -errno. */
static int open_in_root(const struct tree *tree, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC | O_DIRECTORY),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
                   (tree->crosses ? 0U : (unsigned)RESOLVE_NO_XDEV),
    };
    long fd;
    int tries = 0;
    do
        fd = syscall(SYS_openat2, tree->root_fd, path, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < 100);
    return fd < 0 ? -errno : (int)fd;
}

int tree_open_folder(const struct tree *tree, const char *path, int *ret_fd, struct err *err)
{
    int fd = open_in_root(tree, path, O_RDONLY);
    if (fd < 0)
        return err_errno(err, -fd, "open folder '%.100s'", path);
    *ret_fd = fd;
    return 0;
}

bool tree_is_whiteout(int parent_fd, const char *base)
{
    struct stat st;
    return fstatat(parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(0, 0);
}

/* Make the folder @path, of which the last component @base is missing in @parent_fd. */
static int make_implied(const struct tree *tree, const char *path, int parent_fd, const char *base,
                        struct err *err)
{
    bool whiteout = tree_is_whiteout(parent_fd, base);
    if (whiteout && unlinkat(parent_fd, base, 0) < 0)
        return err_errno(err, errno, "replace '%.100s'", path);
    if (mkdirat(parent_fd, base, 0755) < 0) {
        if (errno != EEXIST)
            return err_errno(err, errno, "make folder '%.100s'", path);
        return err_set(err, ERR_CORRUPT,
                       "'%.100s' is no folder in this layer, yet files are to go into it", path);
    }
    if (tree->on_implied)
        tree->on_implied(tree->arg, path);
    if (whiteout && tree->on_opaque)
        tree->on_opaque(tree->arg, path);
    return 0;
}

/* Make what is missing of the folder @path, from the top. */
static int make_parents(const struct tree *tree, const char *path, struct err *err)
{
    char prefix[TREE_PATH_MAX];
    str_fill(prefix, sizeof(prefix), path);
    cleanup_close int at = open_in_root(tree, ".", O_PATH);
    const char *base = prefix;
    for (char *p = prefix;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        int next = open_in_root(tree, prefix, O_PATH);
        if (next == -ENOENT || next == -ENOTDIR) {
            int rv = make_implied(tree, prefix, at, base, err);
            if (rv < 0)
                return rv;
            next = open_in_root(tree, prefix, O_PATH);
        }
        if (next < 0)
            return err_errno(err, -next, "open folder '%.100s'", prefix);
        close(at);
        at = next;
        if (end == '\0')
            return 0;
        *p = end;
        base = p + 1;
    }
}

int tree_parent(const struct tree *tree, const char *path, int *ret_fd, const char **ret_base,
                struct err *err)
{
    const char *slash = strrchr(path, '/');
    char parent[TREE_PATH_MAX] = ".";
    if (slash) {
        memcpy(parent, path, (size_t)(slash - path));
        parent[slash - path] = '\0';
    }
    int fd = open_in_root(tree, parent, O_PATH);
    if (fd == -ENOENT || fd == -ENOTDIR) {
        int rv = make_parents(tree, parent, err);
        if (rv < 0)
            return rv;
        fd = open_in_root(tree, parent, O_PATH);
    }
    if (fd < 0)
        return err_errno(err, -fd, "open folder '%.100s'", parent);
    *ret_fd = fd;
    *ret_base = slash ? slash + 1 : path;
    return 0;
}

int tree_replace(int parent_fd, const char *base, bool folder, bool *ret_exists, bool *ret_whiteout,
                 struct err *err)
{
    struct stat st;
    *ret_exists = *ret_whiteout = false;
    if (fstatat(parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return err_errno(err, errno, "look at '%.100s'", base);
    }
    if (folder && S_ISDIR(st.st_mode)) {
        *ret_exists = true;
        return 0;
    }
    *ret_whiteout = S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
    return file_remove_at(parent_fd, base, err);
}
