/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 32,
    MOUNTINFO_MAX = 4 << 20,
};

static const char *const passed_on[] = {"cpu", "memory", "pids", "cpuset", "io"};

/* "cpu,cpuacct" or "cpu io memory\n" → ",cpu,cpuacct," */
static char *controller_list(const char *text)
{
    struct buf list = BUF_INIT;
    buf_putc(&list, ',');
    for (const char *p = text; *p && *p != '\n'; p++)
        buf_putc(&list, *p == ' ' ? ',' : *p);
    buf_putc(&list, ',');
    return buf_take(&list);
}

static void add_mount(struct runtime *rt, const char *path, const char *options, bool v2)
{
    if (rt->cgroup_mounts_n == CGROUP_MOUNTS_MAX)
        return;
    struct cgroup_mount *m = &rt->cgroup_mounts[rt->cgroup_mounts_n];
    cleanup_buf struct buf text = BUF_INIT;
    if (v2) {
        cleanup_free char *file = str_printf("%s/cgroup.controllers", path);
        if (file_read(file, 4096, &text, NULL) < 0)
            return; /* hidden by another mount */
    } else {
        cleanup_free char *file = str_printf("%s/cgroup.procs", path);
        if (!file_exists(file))
            return;
        buf_puts(&text, options);
    }
    *m = (struct cgroup_mount){
        .path = str_copy(path), .controllers = controller_list(text.data), .v2 = v2};
    rt->cgroup_mounts_n++;
}

/* One line of mountinfo: "36 35 98:0 /mnt1 /mnt2 rw - cgroup name rw,memory" (proc(5)). */
static void read_mount(struct runtime *rt, char *line)
{
    char *save, *fields[5] = {0};
    char *tail = strstr(line, " - ");
    if (!tail)
        return;
    *tail = '\0';
    size_t n = 0;
    for (char *f = strtok_r(line, " ", &save); f && n < 5; f = strtok_r(NULL, " ", &save))
        fields[n++] = f;
    char *type = strtok_r(tail + 3, " ", &save);
    strtok_r(NULL, " ", &save);
    char *options = strtok_r(NULL, " ", &save);
    if (n < 5 || !type || !options || !str_starts(fields[4], "/sys/fs/cgroup"))
        return;
    if (strcmp(type, "cgroup2") == 0)
        add_mount(rt, fields[4], "", true);
    else if (strcmp(type, "cgroup") == 0)
        add_mount(rt, fields[4], options, false);
}

size_t cgroup_delegated(const char *own, const char *parent)
{
    size_t len = strlen(own), leaf = strlen(CGROUP_LEAF);
    /* We have moved there already. */
    if (len >= leaf && strcmp(own + len - leaf, CGROUP_LEAF) == 0)
        len -= leaf;
    while (len > 0 && own[len - 1] == '/')
        len--;
    if (strncmp(own, parent, len) != 0 || (parent[len] && parent[len] != '/'))
        return 0;
    return len;
}

/* The version 2 group we are in: "0::/system.slice/wherry.service". The caller frees it. */
static char *own_group(void)
{
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read("/proc/self/cgroup", 65536, &text, NULL) < 0)
        return str_copy("/");
    char *line = str_starts(text.data, "0::") ? text.data : strstr(text.data, "\n0::");
    if (!line)
        return str_copy("/");
    line += *line == '\n' ? strlen("\n0::") : strlen("0::");
    return str_printf("%.*s", (int)strcspn(line, "\n"), line);
}

/* A group with processes has no children with controllers, but for the real root: all that are in
 * @dir, which is ours, go to a leaf below it. */
static void move_to_leaf(const char *dir)
{
    cleanup_free char *type = str_printf("%s/cgroup.type", dir);
    cleanup_free char *from = str_printf("%s/cgroup.procs", dir);
    cleanup_free char *leaf = str_printf("%s" CGROUP_LEAF, dir);
    cleanup_free char *to = str_printf("%s/cgroup.procs", leaf);
    cleanup_buf struct buf pids = BUF_INIT;
    if (!file_exists(type) || (mkdir(leaf, 0755) < 0 && errno != EEXIST) ||
        file_read(from, 1 << 20, &pids, NULL) < 0)
        return;
    for (char *rest = pids.data, *pid; (pid = strsep(&rest, "\n"));) {
        if (*pid)
            file_write_kernel(to, pid, NULL);
    }
}

/* Where the parent of all our groups is below our own one, that was delegated to us, and what is
 * above is somebody else's. */
static void find_delegated(struct runtime *rt, struct cgroup_mount *m)
{
    cleanup_free char *own = own_group();
    m->delegated = cgroup_delegated(own, rt->cgroup_parent);
    cleanup_free char *dir = str_printf("%s%.*s", m->path, (int)m->delegated, rt->cgroup_parent);
    cleanup_free char *file = str_printf("%s/cgroup.controllers", dir);
    cleanup_buf struct buf text = BUF_INIT;
    if (strcmp(own, "/") != 0 && m->delegated == 0)
        return;
    move_to_leaf(dir);
    if (file_read(file, 4096, &text, NULL) < 0)
        return;
    free(m->controllers);
    m->controllers = controller_list(text.data);
}

int cgroup_probe(struct runtime *rt, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);
    if (rv < 0)
        return rv;
    char *save;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        read_mount(rt, line);
    bool v1 = false, v2 = false;
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        v1 |= !rt->cgroup_mounts[i].v2;
        v2 |= rt->cgroup_mounts[i].v2;
    }
    if (!v1 && !v2)
        return err_set(err, ERR_UNAVAILABLE, "no cgroup hierarchy is mounted below /sys/fs/cgroup");
    rt->cgroup_mode = !v1 ? CGROUP_V2 : v2 ? CGROUP_HYBRID : CGROUP_V1;
    for (size_t i = 0; i < rt->cgroup_mounts_n && rt->cgroup_mode == CGROUP_V2; i++)
        find_delegated(rt, &rt->cgroup_mounts[i]);
    return 0;
}

void cgroup_release(struct runtime *rt)
{
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        free(rt->cgroup_mounts[i].path);
        free(rt->cgroup_mounts[i].controllers);
    }
    rt->cgroup_mounts_n = 0;
}

static bool mount_has(const struct cgroup_mount *m, const char *controller)
{
    char name[40];
    snprintf(name, sizeof(name), ",%s,", controller);
    return strstr(m->controllers, name) != NULL;
}

static const struct cgroup_mount *find(const struct runtime *rt, const char *controller)
{
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        if (mount_has(&rt->cgroup_mounts[i], controller))
            return &rt->cgroup_mounts[i];
    }
    return NULL;
}

bool cgroup_has(const struct runtime *rt, const char *controller)
{
    return find(rt, controller) != NULL;
}

char *cgroup_file(const struct runtime *rt, const char *controller, const char *group,
                  const char *file)
{
    const struct cgroup_mount *m = find(rt, controller);
    return m ? str_printf("%s%s/%s", m->path, group, file) : NULL;
}

/* Let the children of @dir have the controllers it has. What cannot be passed on (a process lives
 * in @dir, the kernel lacks it) is missed when a limit is set, with a clear error there. */
static void pass_on(const char *dir)
{
    cleanup_free char *file = str_printf("%s/cgroup.subtree_control", dir);
    for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
        char text[16];
        snprintf(text, sizeof(text), "+%s", passed_on[i]);
        file_write_kernel(file, text, NULL);
    }
}

static int make_on(const struct cgroup_mount *m, const char *group, struct err *err)
{
    cleanup_free char *path = str_printf("%s%s", m->path, group);
    /* What is delegated to us is there; above it nothing is ours to change. */
    for (char *p = path + strlen(m->path) + m->delegated;; p++) {
        if (*p != '/' && *p)
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, "make control group %s", path);
        if (m->v2 && end)
            pass_on(path);
        *p = end;
        if (!end)
            return 0;
    }
}

int cgroup_make(const struct runtime *rt, const char *group, struct err *err)
{
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        /* A fresh cpuset group takes no process before it is set up: the OCI runtime's business. */
        if (mount_has(&rt->cgroup_mounts[i], "cpuset") && !rt->cgroup_mounts[i].v2)
            continue;
        int rv = make_on(&rt->cgroup_mounts[i], group, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

size_t cgroup_open_procs(const struct runtime *rt, const char *group,
                         int ret_fds[CGROUP_MOUNTS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        const struct cgroup_mount *m = &rt->cgroup_mounts[i];
        if (mount_has(m, "cpuset") && !m->v2)
            continue;
        cleanup_free char *path = str_printf("%s%s/cgroup.procs", m->path, group);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            ret_fds[n++] = fd;
    }
    return n;
}

bool cgroup_contains(const char *group, pid_t pid)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read(path, 65536, &text, NULL) < 0)
        return false;
    size_t len = strlen(group);
    for (const char *p = text.data; p && (p = strstr(p, group)); p++) {
        if (p > text.data && p[-1] == ':' && (p[len] == '\n' || p[len] == '/' || !p[len]))
            return true;
    }
    return false;
}

/* A pid read from a file may be another process's by now: hold on to it, look again, then kill. */
static void kill_member(const char *group, pid_t pid)
{
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0 && cgroup_contains(group, pid))
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static size_t kill_procs(int dir_fd, const char *group, pid_t session)
{
    int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!file) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    size_t n = 0;
    long pid;
    while (fscanf(file, "%ld", &pid) == 1) {
        /* 0 is a process of a pid namespace we do not see into. */
        if (pid <= 0 || (session && getsid((pid_t)pid) != session))
            continue;
        kill_member(group, (pid_t)pid);
        n++;
    }
    fclose(file);
    return n;
}

/* Walk @path and the groups below it, deepest first: kill their processes, or remove them. */
static size_t walk(int parent_fd, const char *path, const char *group, pid_t session, bool removing,
                   int depth)
{
    int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    size_t n = 0;
    for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(dir));) {
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            n += walk(fd, e->d_name, group, session, removing, depth + 1);
    }
    if (!removing)
        n += kill_procs(fd, group, session);
    closedir(dir);
    if (removing)
        unlinkat(parent_fd, path, AT_REMOVEDIR);
    return n;
}

size_t cgroup_kill(const struct runtime *rt, const char *group, pid_t session)
{
    size_t most = 0;
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        cleanup_free char *path = str_printf("%s%s", rt->cgroup_mounts[i].path, group);
        size_t n = walk(AT_FDCWD, path, group, session, false, 0);
        most = n > most ? n : most;
    }
    return most;
}

void cgroup_drop(const struct runtime *rt, const char *group)
{
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        cleanup_free char *path = str_printf("%s%s", rt->cgroup_mounts[i].path, group);
        rmdir(path);
    }
}

static bool exists_anywhere(const struct runtime *rt, const char *group)
{
    for (size_t i = 0; i < rt->cgroup_mounts_n; i++) {
        cleanup_free char *path = str_printf("%s%s", rt->cgroup_mounts[i].path, group);
        if (file_exists(path))
            return true;
    }
    return false;
}

int cgroup_clear(const struct runtime *rt, const char *group, int timeout_ms, struct err *err)
{
    int64_t deadline = clock_boot_ms() + timeout_ms;
    for (int round = 0; exists_anywhere(rt, group); round++) {
        size_t left = cgroup_kill(rt, group, 0);
        for (size_t i = 0; left == 0 && i < rt->cgroup_mounts_n; i++) {
            cleanup_free char *path = str_printf("%s%s", rt->cgroup_mounts[i].path, group);
            walk(AT_FDCWD, path, group, 0, true, 0);
        }
        if (left == 0 && !exists_anywhere(rt, group))
            return 0;
        if (clock_boot_ms() > deadline)
            return err_set(err, ERR_TIMEOUT,
                           "%zu processes in control group %s do not end, although killed; they "
                           "may hang in a device or network file system",
                           left, group);
        struct timespec pause = {.tv_nsec = round < 10 ? 1000000 : 20000000};
        nanosleep(&pause, NULL);
    }
    return 0;
}
