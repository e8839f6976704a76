/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that are mounted: NFS, CIFS, memory, folders and disks of the machine. */
#include "runtime/volume.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned long set, clear;
} flags[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"noatime", MS_NOATIME, 0},
    {"relatime", MS_RELATIME, 0},
    {"nodiratime", MS_NODIRATIME, 0},
    {"sync", MS_SYNCHRONOUS, 0},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
    {"defaults", 0, 0},
};

static bool take_flag(const char *option, unsigned long *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (strcmp(flags[i].name, option) == 0) {
            *ret = (*ret & ~flags[i].clear) | flags[i].set;
            return true;
        }
    return false;
}

/* The kernel wants an address where people write a name. */
static int put_address(const char *name, struct buf *out, struct err *err)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char text[INET6_ADDRSTRLEN];
    int rv = getaddrinfo(name, NULL, &hints, &found);
    if (rv != 0)
        return err_set(err, ERR_UNAVAILABLE, "addr=%.100s: %s", name, gai_strerror(rv));
    rv =
        getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    if (rv != 0)
        return err_set(err, ERR_UNAVAILABLE, "addr=%.100s: %s", name, gai_strerror(rv));
    buf_printf(out, "addr=%s", text);
    return 0;
}

/* Options are flags of mount(2), or the file system's own. */
static int take_options(const char *text, unsigned long *ret_flags, struct buf *data,
                        struct err *err)
{
    cleanup_free char *copy = str_copy(str_or_empty(text));
    char *save = NULL;
    int rv = 0;
    for (char *o = strtok_r(copy, ",", &save); o && rv == 0; o = strtok_r(NULL, ",", &save)) {
        if (take_flag(o, ret_flags))
            continue;
        if (data->len > 0)
            buf_putc(data, ',');
        if (str_starts(o, "addr="))
            rv = put_address(o + strlen("addr="), data, err);
        else
            buf_puts(data, o);
    }
    return rv;
}

static bool is_mounted(const char *path)
{
    cleanup_free char *parent = str_printf("%s/..", path);
    struct statx here, above;
    const unsigned mask = STATX_MNT_ID;
    return statx(AT_FDCWD, path, 0, mask, &here) == 0 &&
           statx(AT_FDCWD, parent, 0, mask, &above) == 0 && here.stx_mnt_id != above.stx_mnt_id;
}

int volume_mount(const char *path, const struct volume_mount *m, struct err *err)
{
    cleanup_buf struct buf data = BUF_INIT;
    unsigned long bits = MS_NODEV | MS_NOSUID;
    bool bind = strcmp(m->type, "none") == 0 || strcmp(m->type, "bind") == 0;
    const char *device = *str_or_empty(m->device) ? m->device : m->type;
    if (is_mounted(path))
        return 0;
    int rv = take_options(m->options, &bits, &data, err);
    if (rv < 0)
        return rv;
    if (bind && *device != '/')
        return err_set(err, ERR_INVALID, "device '%.100s' is no absolute path of this machine",
                       device);
    if (mount(device, path, bind ? NULL : m->type, bind ? MS_BIND | (bits & MS_REC) : bits,
              bind ? NULL : str_or_empty(data.data)) < 0)
        return err_errno(err, errno, "mount %.100s (type %.40s)", device, m->type);
    if (bind && (bits & MS_RDONLY) &&
        mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | bits, NULL) < 0)
        return err_errno(err, errno, "make the mount of %.100s read-only", device);
    return 0;
}

int volume_subpath(const char *path, const char *subpath, char **ret_path, struct err *err)
{
    cleanup_free char *full = str_printf("%s/%s", path, subpath);
    cleanup_free char *walk = str_copy(subpath);
    cleanup_close int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_errno(err, errno, "open %s", path);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    for (char *slash = walk;; slash++) {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        cleanup_close int fd = (int)syscall(SYS_openat2, root, walk, &how, sizeof(how));
        if (fd < 0 && errno == ENOENT && mkdirat(root, walk, 0755) < 0)
            return err_errno(err, errno, "make folder %.100s of the volume", walk);
        if (fd < 0 && errno != ENOENT)
            return err_errno(err, errno, "folder %.100s of the volume", walk);
        if (!slash)
            break;
        *slash = '/';
    }
    *ret_path = steal(&full);
    return 0;
}
