/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/volume.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/quota.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

bool volume_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return *name && strlen(name) <= 128 && name[0] != '.' && strspn(name, allowed) == strlen(name);
}

static int check_name(const char *name, struct err *err)
{
    if (volume_name_ok(name))
        return 0;
    return err_set(err, ERR_INVALID,
                   "volume '%.140s': a name is 1 to 128 of a-z, A-Z, 0-9, _ . - and does not "
                   "begin with a dot",
                   name);
}

int volume_ensure(struct runtime *rt, const char *name, char **ret_path, struct err *err)
{
    int rv = check_name(name, err);
    if (rv < 0)
        return rv;
    cleanup_free char *parent = str_printf("%s/volumes", rt->data_dir);
    cleanup_free char *path = str_printf("%s/%s", parent, name);
    if (mkdir(path, 0755) == 0) {
        if ((rv = file_sync_dir(parent, err)) < 0)
            return rv;
    } else if (errno != EEXIST) {
        return err_errno(err, errno, "make volume %s", name);
    }
    *ret_path = steal(&path);
    return 0;
}

int volume_can_limit(struct runtime *rt, struct err *err)
{
    return disk_quota_check(rt->data_dir, "size", err);
}

int volume_limit(struct runtime *rt, const char *name, int64_t bytes, struct err *err)
{
    int rv = check_name(name, err);
    cleanup_free char *path = str_printf("%s/volumes/%s", rt->data_dir, name);
    if (rv == 0)
        rv = disk_quota_limit(rt->data_dir, path, bytes, err);
    return rv < 0 ? err_wrap(err, "volume %.100s", name) : 0;
}

int volume_remove(struct runtime *rt, const char *name, struct err *err)
{
    int rv = check_name(name, err);
    if (rv < 0)
        return rv;
    cleanup_free char *parent = str_printf("%s/volumes", rt->data_dir);
    cleanup_free char *path = str_printf("%s/%s", parent, name);
    if (!file_exists(path))
        return 0;
    /* What is mounted there is not its content. */
    while (umount2(path, UMOUNT_NOFOLLOW) == 0)
        ;
    if (errno == EBUSY)
        return err_set(err, ERR_BUSY, "volume %s is mounted and in use", name);
    if ((rv = file_remove_tree(path, err)) < 0)
        return rv;
    return file_sync_dir(parent, err);
}
