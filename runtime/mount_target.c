/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/mount_target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40, /* as many as the kernel follows (path_resolution(7)) */
};

static const char *const system_names[] = {"proc", "sys", "dev"};

/* --- by the text ------------------------------------------------------------------------------ */

static bool is_name(const char *part, size_t len, const char *name)
{
    return len == strlen(name) && strncmp(part, name, len) == 0;
}

static bool is_system_name(const char *part, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(system_names); i++)
        if (is_name(part, len, system_names[i]))
            return true;
    return false;
}

/* The next part of *@path, which goes on behind it; its length, 0: none. */
static size_t next_part(const char **path, const char **ret_part)
{
    *path += strspn(*path, "/");
    *ret_part = *path;
    size_t len = strcspn(*path, "/");
    *path += len;
    return len;
}

bool mount_target_is_system(const char *target)
{
    const char *part;
    size_t len = next_part(&target, &part);
    if (!is_system_name(part, len))
        return false;
    if (!is_name(part, len, "dev"))
        return true;
    len = next_part(&target, &part);
    return !is_name(part, len, "shm") && !is_name(part, len, "mqueue");
}

/* --- by the links ----------------------------------------------------------------------------- */

static int open_in(int root_fd, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_PATH | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the folder @fd one of the root's /proc, /sys and /dev, or below one? */
static bool is_in_system(int root_fd, int fd)
{
    struct stat system[ARRAY_SIZE(system_names)] = {0}, root, here;
    int at = dup(fd);
    bool found = fstat(root_fd, &root) < 0;
    for (size_t i = 0; i < ARRAY_SIZE(system_names); i++) {
        cleanup_close int one = open_in(root_fd, system_names[i], O_NOFOLLOW);
        if (one >= 0)
            found |= fstat(one, &system[i]) < 0;
    }
    for (int depth = 0; !found; depth++) {
        if (at < 0 || fstat(at, &here) < 0 || depth > PATH_MAX / 2) {
            found = true; /* cannot be told */
            break;
        }
        for (size_t i = 0; i < ARRAY_SIZE(system_names); i++)
            found |= system[i].st_ino && is_same(&here, &system[i]);
        if (is_same(&here, &root))
            break;
        int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = up;
    }
    if (at >= 0)
        close(at);
    return found;
}

/* The link at @path, with @rest behind it, as a path from the root: relative ones begin in @dir. */
static char *follow(int root_fd, const char *path, const char *dir, const char *rest)
{
    char text[PATH_MAX];
    cleanup_close int link = open_in(root_fd, path, O_NOFOLLOW);
    ssize_t n = link < 0 ? -1 : readlinkat(link, "", text, sizeof(text) - 1);
    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text[0] == '/' ? str_printf("%s/%s", text, rest)
                          : str_printf("%s/%s/%s", dir, text, rest);
}

static bool says_up(const char *path)
{
    const char *part;
    for (size_t len; (len = next_part(&path, &part)) > 0;)
        if (is_name(part, len, ".."))
            return true;
    return false;
}

/* @part is to be made in the folder @dir, and @rest in that. */
static bool is_made_in_system(int root_fd, const char *dir, const char *part, size_t len,
                              const char *rest)
{
    struct stat root, here;
    cleanup_close int above = open_in(root_fd, *dir ? dir : "/", 0);
    bool known = above >= 0 && fstat(above, &here) == 0 && fstat(root_fd, &root) == 0;
    return !known || says_up(rest) || (is_same(&here, &root) && is_system_name(part, len));
}

/* Go along @path. True: it leads into the system's folders. Else *@ret_next is where a link says to
 * go on that leads to a file, or to nothing yet, or NULL. */
static bool leads_in(int root_fd, const char *path, char **ret_next)
{
    const char *rest = path, *part;
    cleanup_free char *dir = str_copy("");
    struct stat st;
    for (size_t len; (len = next_part(&rest, &part)) > 0;) {
        cleanup_free char *prefix = str_printf("%s/%.*s", dir, (int)len, part);
        cleanup_close int fd = open_in(root_fd, prefix, 0);
        bool folder = fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
        if (folder && is_in_system(root_fd, fd))
            return true;
        if (!folder && (*ret_next = follow(root_fd, prefix, dir, rest)))
            return false;
        if (fd < 0)
            return is_made_in_system(root_fd, dir, part, len, rest);
        free(dir);
        dir = steal(&prefix);
    }
    return false;
}

static int check_target(const char *what, const char *target, int root_fd, struct err *err)
{
    const char *text = target, *part;
    size_t len = next_part(&text, &part);
    /* There the image's own files are covered. */
    if (is_system_name(part, len))
        return 0;
    cleanup_free char *path = str_copy(target);
    for (int i = 0; i < LINKS_MAX; i++) {
        char *next = NULL;
        if (leads_in(root_fd, path, &next))
            break;
        if (!next)
            return 0;
        free(path);
        path = next;
    }
    return err_set(err, ERR_DENIED,
                   "%s: links of the image lead from %.120s into /proc, /sys or /dev, or nowhere; "
                   "nothing is mounted there",
                   what, target);
}

int mount_target_check(const struct container_spec *spec, int root_fd, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; i < spec->mounts_n && rv == 0; i++)
        rv = check_target("mounts", spec->mounts[i].target, root_fd, err);
    for (size_t i = 0; i < spec->tmpfs_n && rv == 0; i++)
        rv = check_target("tmpfs", spec->tmpfs[i].target, root_fd, err);
    return rv;
}
