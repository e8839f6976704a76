/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/part_file.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int part_file_begin(struct part_file *f, const char *path, bool force, struct err *err)
{
    if (!force && file_exists(path))
        return err_set(err, ERR_EXISTS, "%s exists: give another name, or --force to replace it",
                       path);
    char *part = str_printf("%s.part-%d", path, (int)getpid());
    int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_errno(err, errno, "make %s", part);
        free(part);
        return err->code;
    }
    *f = (struct part_file){.fd = fd, .force = force, .path = str_copy(path), .part = part};
    return 0;
}

static int publish(const struct part_file *f, struct err *err)
{
    if (fsync(f->fd) < 0)
        return err_errno(err, errno, "sync %s", f->part);
    if (renameat2(AT_FDCWD, f->part, AT_FDCWD, f->path, f->force ? 0 : RENAME_NOREPLACE) < 0)
        return err_errno(err, errno, "rename %s to %s", f->part, f->path);
    cleanup_free char *dir = str_copy(f->path);
    char *slash = strrchr(dir, '/');
    if (slash == dir)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    return file_sync_dir(slash ? dir : ".", err);
}

int part_file_end(struct part_file *f, int rv, struct err *err)
{
    if (rv == 0)
        rv = publish(f, err);
    if (rv < 0)
        unlink(f->part);
    close(f->fd);
    free(f->path);
    free(f->part);
    return rv;
}
