/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/processes.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/internal.h"
#include "runtime/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 32,
    TEXT_MAX = 16384,
};

struct list {
    struct container_process *items;
    size_t n;
    pid_t *pids;
    size_t pids_n;
};

/* At most @max bytes of @name in @dir_fd; what is longer is cut. */
static bool read_at(int dir_fd, const char *name, size_t max, struct buf *out)
{
    cleanup_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    buf_reset(out);
    buf_append(out, "", 0);
    while (fd >= 0 && out->len < max) {
        ssize_t n = read(fd, buf_reserve(out, max - out->len), max - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
    return fd >= 0;
}

/* --- pids ------------------------------------------------------------------------------------- */

static void add_pids(struct list *list, const char *text)
{
    char *end;
    for (const char *p = text; *p && list->pids_n < PROCESSES_MAX; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            return;
        end += *end == '\n';
        if (pid > 0)
            list->pids[list->pids_n++] = (pid_t)pid;
    }
}

static void walk(int parent_fd, const char *path, struct list *list, int depth)
{
    cleanup_buf struct buf text = BUF_INIT;
    int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (read_at(fd, "cgroup.procs", PROCESSES_MAX * 8, &text))
        add_pids(list, text.data);
    for (struct dirent *e; depth < DEPTH_MAX && (e = readdir(dir));) {
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            walk(fd, e->d_name, list, depth + 1);
    }
    closedir(dir);
}

static int compare_pids(const void *a, const void *b)
{
    const pid_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* --- one process ------------------------------------------------------------------------------ */

/* What follows "\nKEY:" in a status file. */
static const char *status_of(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at ? at + strlen(key) : "";
}

int processes_parse(const char *stat, const char *status, int64_t boot_ms,
                    struct container_process *p)
{
    /* The name stands in parentheses and may have some in it. */
    const char *rest = strrchr(stat, ')');
    char state;
    long long parent, user, system, threads, start, rss;
    if (!rest || sscanf(rest,
                        ") %c %lld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d "
                        "%lld %*d %lld %*u %lld",
                        &state, &parent, &user, &system, &threads, &start, &rss) != 7)
        return -1;
    long tick = sysconf(_SC_CLK_TCK);
    p->pid = strtoll(stat, NULL, 10);
    p->parent_pid = parent;
    p->state = state;
    p->threads = threads;
    p->cpu_ms = (user + system) * 1000 / tick;
    p->started_ms = boot_ms + start * 1000 / tick;
    p->rss_bytes = rss * sysconf(_SC_PAGESIZE);
    p->uid = strtoll(status_of(status, "\nUid:"), NULL, 10);
    /* One number for each namespace, the innermost last. */
    const char *line = status_of(status, "\nNSpid:");
    p->inside_pid = p->pid;
    for (char *end; *line && *line != '\n'; line = end) {
        long long pid = strtoll(line, &end, 10);
        if (end == line)
            break;
        p->inside_pid = pid;
    }
    return 0;
}

/* Arguments end with a 0 each. */
static char *command_of(struct buf *cmdline, const char *stat)
{
    const char *open = strchr(stat, '('), *close = strrchr(stat, ')');
    while (cmdline->len > 0 && cmdline->data[cmdline->len - 1] == '\0')
        cmdline->len--;
    if (cmdline->len == 0) {
        bool named = open && close && close > open;
        return named ? str_printf("[%.*s]", (int)(close - open - 1), open + 1) : str_copy("");
    }
    for (size_t i = 0; i < cmdline->len; i++)
        if ((unsigned char)cmdline->data[i] < ' ' || cmdline->data[i] == 0x7f)
            cmdline->data[i] = cmdline->data[i] ? '?' : ' ';
    cmdline->data[cmdline->len] = '\0';
    return buf_take(cmdline);
}

/* Through one descriptor of its folder, which stays that process's when the number is given to
 * another. */
static void add_process(struct list *list, const char *group, pid_t pid, int root_fd,
                        int64_t boot_ms)
{
    cleanup_free char *path = str_printf("/proc/%d", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_buf struct buf text = BUF_INIT, status = BUF_INIT, cmdline = BUF_INIT;
    struct container_process p = {0};
    if (fd < 0 || !cgroup_contains(group, pid) || !read_at(fd, "stat", TEXT_MAX, &text) ||
        !read_at(fd, "status", TEXT_MAX, &status) ||
        !read_at(fd, "cmdline", PROCESS_COMMAND_MAX, &cmdline) ||
        processes_parse(text.data, status.data, boot_ms, &p) < 0)
        return;
    rootfs_user_name(root_fd, p.uid, p.user, sizeof(p.user));
    p.command = command_of(&cmdline, text.data);
    list->items[list->n++] = p;
}

int container_processes(struct runtime *rt, const char *id, struct container_process **ret,
                        size_t *ret_n, struct err *err)
{
    struct container_state state;
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (state.status != CONTAINER_RUNNING || state.pid <= 0)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *root = str_printf("/proc/%d/root", (int)state.pid);
    cleanup_close int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct list list = {.pids = mem_alloc(PROCESSES_MAX, sizeof(pid_t))};
    /* Version 2, or any hierarchy of version 1: it is in the same group on all of them. */
    const char *controller = rt->cgroup_mode == CGROUP_V2 ? NULL : "pids";
    cleanup_free char *dir = controller ? cgroup_file(rt, controller, group, "")
                                        : str_printf("%s%s", rt->cgroup_mounts[0].path, group);
    if (!dir)
        dir = str_printf("%s%s", rt->cgroup_mounts[0].path, group);
    walk(AT_FDCWD, dir, &list, 0);
    qsort(list.pids, list.pids_n, sizeof(pid_t), compare_pids);
    list.items = mem_alloc(list.pids_n, sizeof(*list.items));
    int64_t boot_ms = clock_wall_ms() - clock_boot_ms();
    for (size_t i = 0; i < list.pids_n; i++)
        add_process(&list, group, list.pids[i], root_fd, boot_ms);
    free(list.pids);
    *ret = list.items;
    *ret_n = list.n;
    return 0;
}

void container_processes_free(struct container_process *processes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(processes[i].command);
    free(processes);
}
