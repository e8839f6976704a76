/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/device.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    DEVICES_MAX = 2048,
    DEPTH_MAX = 8,
};

bool device_access_ok(const char *access)
{
    size_t len = strlen(access);
    if (len == 0 || len > 3 || strspn(access, "rwm") != len)
        return false;
    return !strchr(access + 1, access[0]) && (len < 3 || access[1] != access[2]);
}

/* A number, or "*" as -1; false when it is neither. */
static bool parse_number(const char *text, int64_t *ret)
{
    if (strcmp(text, "*") == 0) {
        *ret = -1;
        return true;
    }
    size_t len = strlen(text);
    if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
        return false;
    *ret = atoll(text);
    return true;
}

bool device_rule_parse(const char *text, struct device_rule *ret_rule)
{
    struct device_rule rule = {.major = -1, .minor = -1};
    char type[3], numbers[40], access[5], rest;
    int n = sscanf(text, "%2s %39s %4s %c", type, numbers, access, &rest);
    if (n != 3 || strlen(type) != 1 || !strchr("abc", type[0]) || !device_access_ok(access))
        return false;
    char *colon = strchr(numbers, ':');
    if (!colon)
        return false;
    *colon = '\0';
    if (!parse_number(numbers, &rule.major) || !parse_number(colon + 1, &rule.minor))
        return false;
    rule.type = type[0];
    str_fill(rule.access, sizeof(rule.access), access);
    *ret_rule = rule;
    return true;
}

static bool is_device(const struct stat *st)
{
    return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

static struct device describe(const struct stat *st, const char *path, const char *access)
{
    struct device d = {.path = str_copy(path),
                       .type = S_ISBLK(st->st_mode) ? 'b' : 'c',
                       .major = major(st->st_rdev),
                       .minor = minor(st->st_rdev),
                       .mode = st->st_mode & 07777,
                       .uid = st->st_uid,
                       .gid = st->st_gid};
    str_fill(d.access, sizeof(d.access), access ? access : "rwm");
    return d;
}

static int add(struct device_set *set, const struct stat *st, const char *path, const char *access,
               struct err *err)
{
    if (set->n == DEVICES_MAX)
        return err_set(err, ERR_TOOBIG, "devices: more than %d", DEVICES_MAX);
    set->devices = mem_resize(set->devices, set->n + 1, sizeof(*set->devices));
    set->devices[set->n++] = describe(st, path, access);
    return 0;
}

/* What every container has of its own. */
static bool is_own(const char *target)
{
    static const char *const own[] = {"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/ptmx",
                                      "/dev/console"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (strcmp(target, own[i]) == 0)
            return true;
    }
    return false;
}

/* All devices below the folder @source, without following links. */
static int add_folder(struct device_set *set, const char *source, const char *target,
                      const char *access, int depth, struct err *err)
{
    int fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        return err_errno(err, saved, "devices: %s", source);
    }
    int rv = 0;
    for (struct dirent *e; rv == 0 && (e = readdir(dir));) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        cleanup_free char *from = str_printf("%s/%s", source, e->d_name);
        cleanup_free char *to = str_printf("%s/%s", target, e->d_name);
        if (is_own(to))
            continue;
        if (is_device(&st))
            rv = add(set, &st, to, access, err);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            rv = add_folder(set, from, to, access, depth + 1, err);
    }
    closedir(dir);
    return rv;
}

static int add_one(struct device_set *set, const struct container_device *d, struct err *err)
{
    const char *target = d->target ? d->target : d->source;
    struct stat st;
    if (stat(d->source, &st) < 0)
        return err_errno(err, errno, "devices: %s", d->source);
    if (S_ISDIR(st.st_mode))
        return add_folder(set, d->source, target, d->access, 0, err);
    if (!is_device(&st))
        return err_set(err, ERR_INVALID, "devices: %s is no device file", d->source);
    return add(set, &st, target, d->access, err);
}

static int find_io(const struct container_spec *spec, struct device_set *set, struct err *err)
{
    set->io = mem_alloc(spec->io_n + 1, sizeof(*set->io));
    for (size_t i = 0; i < spec->io_n; i++) {
        struct stat st;
        if (stat(spec->io[i].path, &st) < 0)
            return err_errno(err, errno, "io: %s", spec->io[i].path);
        if (!S_ISBLK(st.st_mode))
            return err_set(err, ERR_INVALID, "io: %s is no block device", spec->io[i].path);
        set->io[i] = describe(&st, spec->io[i].path, NULL);
    }
    return 0;
}

int device_find(const struct container_spec *spec, struct device_set *ret_set, struct err *err)
{
    struct device_set set = {0};
    int rv = 0;
    /* What is asked for by name comes first: the bundle takes the first of one path. */
    for (size_t i = 0; i < spec->devices_n && rv == 0; i++)
        rv = add_one(&set, &spec->devices[i], err);
    if (rv == 0 && spec->privileged)
        rv = add_folder(&set, "/dev", "/dev", NULL, 0, err);
    if (rv == 0 && spec->io_n > 0)
        rv = find_io(spec, &set, err);
    if (rv < 0) {
        device_set_release(&set);
        return rv;
    }
    *ret_set = set;
    return 0;
}

void device_set_release(struct device_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->devices[i].path);
    for (struct device *d = set->io; d && d->path; d++)
        free(d->path);
    free(set->devices);
    free(set->io);
    *set = (struct device_set){0};
}
