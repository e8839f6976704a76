/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime may leave on a machine, counted: for tests that look for leaks. */
#ifndef WHERRY_TESTS_LEFTOVERS_H
#define WHERRY_TESTS_LEFTOVERS_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Append a line for each line of mountinfo that has @text. */
static void leftovers_mounts(const char *text, struct buf *out)
{
    cleanup_buf struct buf mounts = BUF_INIT;
    check(file_read("/proc/self/mountinfo", 16 << 20, &mounts, NULL) == 0);
    for (char *rest = mounts.data, *line; (line = strsep(&rest, "\n"));)
        if (strstr(line, text))
            buf_printf(out, "mount: %s\n", line);
}

/* Append a line for each thing below @dir, but for those in @keep, paths that begin with it. */
static void leftovers_files(const char *dir, const char *const *keep, struct buf *out)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        cleanup_free char *path = str_printf("%s/%s", dir, e->d_name);
        bool kept = false, on_the_way = false;
        for (const char *const *k = keep; *k; k++) {
            kept |= strcmp(path, *k) == 0;
            on_the_way |= str_starts(*k, path) && (*k)[strlen(path)] == '/';
        }
        if (!kept && !on_the_way)
            buf_printf(out, "file: %s\n", path);
        else if (e->d_type == DT_DIR)
            leftovers_files(path, keep, out);
    }
    if (d)
        closedir(d);
}

/* Append a line for control group @group (beginning with a slash) on each hierarchy that has it. */
static void leftovers_groups(const char *group, struct buf *out)
{
    DIR *d = opendir("/sys/fs/cgroup");
    for (struct dirent *e; d && (e = readdir(d));) {
        cleanup_free char *path = str_printf("/sys/fs/cgroup/%s%s", e->d_name, group);
        if (e->d_name[0] != '.' && file_exists(path))
            buf_printf(out, "control group: %s\n", path);
    }
    if (d)
        closedir(d);
    cleanup_free char *path = str_printf("/sys/fs/cgroup%s", group);
    if (file_exists(path))
        buf_printf(out, "control group: %s\n", path);
}

/* Append a line for each link of this network namespace but its loopback. */
static void leftovers_links(struct buf *out)
{
    struct if_nameindex *links = if_nameindex();
    for (struct if_nameindex *l = links; l && l->if_index; l++)
        if (strcmp(l->if_name, "lo") != 0)
            buf_printf(out, "link: %s\n", l->if_name);
    if_freenameindex(links);
}

/* Append a line for each shim, helper or OCI runtime whose arguments have @text. */
static void leftovers_processes(const char *text, struct buf *out)
{
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == getpid())
            continue;
        cleanup_free char *path = str_printf("/proc/%s/cmdline", e->d_name);
        cleanup_buf struct buf args = BUF_INIT;
        if (file_read(path, 1 << 20, &args, NULL) < 0)
            continue;
        for (size_t i = 0; i < args.len; i++)
            if (!args.data[i])
                args.data[i] = ' ';
        cleanup_free char *name = str_printf("/proc/%s/comm", e->d_name);
        cleanup_buf struct buf comm = BUF_INIT;
        if (!args.len || !strstr(args.data, text) || file_read(name, 64, &comm, NULL) < 0)
            continue;
        if (str_starts(comm.data, "wherry-") || strstr(comm.data, "crun") ||
            strstr(comm.data, "runc"))
            buf_printf(out, "process: %s %s\n", e->d_name, args.data);
    }
    if (d)
        closedir(d);
}

/* How many descriptors this process has. */
static int leftovers_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = -3; /* the two dots and the folder itself */
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

#endif
