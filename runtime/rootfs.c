/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rootfs.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    ACCOUNTS_MAX = 1 << 20, /* bytes of passwd or group */
    FIELDS_MAX = 7,
};

static int open_in(int root_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned long long)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* Read a file of the image. A missing one is empty; one that is no file is refused unopened. */
static int read_accounts(int root_fd, const char *path, struct buf *out, struct err *err)
{
    buf_append(out, "", 0);
    cleanup_close int place = open_in(root_fd, path, O_PATH);
    if (place == -ENOENT || place == -ENOTDIR)
        return 0;
    struct stat st;
    if (place < 0 || fstat(place, &st) < 0)
        return err_errno(err, place < 0 ? -place : errno, "the image's %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CORRUPT, "the image's %s is no file", path);
    cleanup_free char *again = str_printf("/proc/self/fd/%d", place);
    if (file_read(again, ACCOUNTS_MAX, out, err) < 0)
        return err_wrap(err, "the image's %s", path);
    return 0;
}

/* Cut @line at its colons. Returns how many fields there are, at most FIELDS_MAX. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
    size_t n = 0;
    char *rest = line;
    while (n < FIELDS_MAX && rest)
        fields[n++] = strsep(&rest, ":");
    return n;
}

static bool parse_id(const char *text, unsigned *ret_id)
{
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
        return false;
    unsigned long v = strtoul(text, NULL, 10);
    if (v > 0xfffffffeUL)
        return false;
    *ret_id = (unsigned)v;
    return true;
}

/* Find the line of passwd whose name is @name or, if that is NULL, whose uid is @uid. */
static bool find_passwd(char *text, const char *name, unsigned uid, struct rootfs_user *user,
                        char *ret_name, size_t size)
{
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        char *f[FIELDS_MAX];
        unsigned line_uid, line_gid;
        if (split(line, f) < 6 || !parse_id(f[2], &line_uid) || !parse_id(f[3], &line_gid))
            continue;
        if (name ? strcmp(f[0], name) != 0 : line_uid != uid)
            continue;
        user->uid = line_uid;
        user->gid = line_gid;
        if (f[5][0] == '/')
            str_fill(user->home, sizeof(user->home), f[5]);
        str_fill(ret_name, size, f[0]);
        return true;
    }
    return false;
}

static bool is_member(char *members, const char *name)
{
    for (char *rest = members, *m; (m = strsep(&rest, ","));) {
        if (strcmp(m, name) == 0)
            return true;
    }
    return false;
}

/* Find the gid of group @name, or with NULL collect the groups that @member is in. */
static bool read_groups(char *text, const char *name, const char *member, struct rootfs_user *user)
{
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        char *f[FIELDS_MAX];
        unsigned gid;
        if (split(line, f) < 4 || !parse_id(f[2], &gid))
            continue;
        if (name && strcmp(f[0], name) == 0) {
            user->gid = gid;
            return true;
        }
        if (!name && gid != user->gid && user->groups_n < ROOTFS_GROUPS_MAX &&
            is_member(f[3], member))
            user->groups[user->groups_n++] = gid;
    }
    return false;
}

int rootfs_user(int root_fd, const char *text, struct rootfs_user *ret_user, struct err *err)
{
    struct rootfs_user user = {.home = "/"};
    cleanup_buf struct buf passwd = BUF_INIT, group = BUF_INIT;
    int rv;
    if ((rv = read_accounts(root_fd, "etc/passwd", &passwd, err)) < 0 ||
        (rv = read_accounts(root_fd, "etc/group", &group, err)) < 0)
        return rv;
    cleanup_free char *copy = str_copy(text && *text ? text : "0");
    char *colon = strchr(copy, ':');
    if (colon)
        *colon = '\0';
    unsigned uid = 0, gid = 0;
    char name[256] = "";
    bool by_id = parse_id(copy, &uid);
    if (!find_passwd(passwd.data, by_id ? NULL : copy, uid, &user, name, sizeof(name))) {
        if (!by_id)
            return err_set(err, ERR_NOTFOUND, "user '%s' is not in the image's /etc/passwd", copy);
        user.uid = uid;
    }
    if (!colon) {
        if (*name)
            read_groups(group.data, NULL, name, &user);
    } else if (parse_id(colon + 1, &gid)) {
        user.gid = gid;
    } else if (!read_groups(group.data, colon + 1, NULL, &user)) {
        return err_set(err, ERR_NOTFOUND, "group '%s' is not in the image's /etc/group", colon + 1);
    }
    if (user.uid == 0 && strcmp(user.home, "/") == 0)
        str_fill(user.home, sizeof(user.home), "/root");
    *ret_user = user;
    return 0;
}

static int add_group(char *text, const char *name, struct rootfs_user *user, struct err *err)
{
    struct rootfs_user found = {0};
    unsigned gid = 0;
    if (!parse_id(name, &gid)) {
        if (!read_groups(text, name, NULL, &found))
            return err_set(err, ERR_NOTFOUND,
                           "group_add: group '%s' is not in the image's "
                           "/etc/group",
                           name);
        gid = found.gid;
    }
    for (size_t i = 0; i < user->groups_n; i++) {
        if (user->groups[i] == gid)
            return 0;
    }
    if (user->groups_n == ROOTFS_GROUPS_MAX)
        return err_set(err, ERR_TOOBIG, "group_add: more than %d groups", ROOTFS_GROUPS_MAX);
    user->groups[user->groups_n++] = gid;
    return 0;
}

int rootfs_groups(int root_fd, const char *const *names, struct rootfs_user *user, struct err *err)
{
    if (!names || !names[0])
        return 0;
    cleanup_buf struct buf group = BUF_INIT;
    int rv = read_accounts(root_fd, "etc/group", &group, err);
    for (; *names && rv == 0; names++) {
        /* Reading cuts the text to pieces. */
        cleanup_free char *copy = str_copy(group.data);
        rv = add_group(copy, *names, user, err);
    }
    return rv;
}

void rootfs_user_name(int root_fd, int64_t uid, char *out, size_t size)
{
    struct rootfs_user user = {0};
    cleanup_buf struct buf passwd = BUF_INIT;
    snprintf(out, size, "%lld", (long long)uid);
    char name[256];
    if (root_fd < 0 || read_accounts(root_fd, "etc/passwd", &passwd, NULL) < 0 ||
        !find_passwd(passwd.data, NULL, (unsigned)uid, &user, name, sizeof(name)))
        return;
    for (char *p = name; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            *p = '?';
    str_fill(out, size, name);
}

static int make_dirs(int root_fd, const char *path, uid_t uid, gid_t gid, struct err *err)
{
    cleanup_free char *copy = str_copy(path);
    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        cleanup_close int there = open_in(root_fd, copy, O_PATH | O_DIRECTORY);
        if (there == -ENOENT) {
            char *slash = strrchr(copy, '/');
            cleanup_free char *parent = str_printf("%.*s/", (int)(slash - copy), copy);
            cleanup_close int dir = open_in(root_fd, parent, O_PATH | O_DIRECTORY);
            if (dir < 0)
                return err_errno(err, -dir, "make folder %s in the container", path);
            if (mkdirat(dir, slash + 1, 0755) < 0 && errno != EEXIST)
                return err_errno(err, errno, "make folder %s in the container", path);
            if (fchownat(dir, slash + 1, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
                return err_errno(err, errno, "make folder %s in the container", path);
        } else if (there < 0) {
            return err_errno(err, -there, "make folder %s in the container", path);
        }
        *p = end;
        if (!end)
            return 0;
    }
}

int rootfs_mkdirs(int root_fd, const char *path, uid_t uid, gid_t gid, uint32_t base,
                  struct err *err)
{
    if (base == 0)
        return make_dirs(root_fd, path, uid, gid, err);
    idmap_enter(base);
    int rv = make_dirs(root_fd, path, base + uid, base + gid, err);
    idmap_leave();
    return rv;
}
