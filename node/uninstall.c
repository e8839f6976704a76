/* SPDX-License-Identifier: Apache-2.0 */
#include "node/uninstall.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MOUNTS_MAX = 16 << 20, /* of the text that lists them */
};

struct undoing {
    const struct uninstall_options *options;
    const char *data_dir, *run_dir;
    struct err first; /* what failed first; code 0: nothing */
};

static void note(struct undoing *u, const struct err *err)
{
    log_warn("uninstall", "%s", err->msg);
    if (u->first.code == 0)
        u->first = *err;
}

static void remove_containers(struct undoing *u, struct runtime *rt)
{
    char **ids;
    struct err err;
    if (container_list(rt, &ids, &err) < 0) {
        note(u, &err);
        return;
    }
    for (size_t i = 0; ids[i]; i++)
        if (container_remove(rt, ids[i], &err) < 0)
            note(u, &err);
    image_strings_free(ids);
}

static void remove_namespaces(struct undoing *u)
{
    cleanup_free char *folder = str_printf("%s/netns", u->run_dir);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct err err;
        if (e->d_name[0] == '.')
            continue;
        cleanup_free char *path = str_printf("%s/%s", folder, e->d_name);
        if (network_netns_remove(path, &err) < 0)
            note(u, &err);
    }
    if (dir)
        closedir(dir);
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Unmount what is mounted below our folders, the last first: volumes, layers, files in memory. */
static void unmount_all(struct undoing *u)
{
    cleanup_buf struct buf text = BUF_INIT;
    char **points = NULL, *save = NULL;
    size_t n = 0;
    struct err err;
    if (file_read("/proc/self/mountinfo", MOUNTS_MAX, &text, &err) < 0) {
        note(u, &err);
        return;
    }
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char point[4096];
        if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
            (!is_below(point, u->data_dir) && !is_below(point, u->run_dir)))
            continue;
        points = mem_resize(points, n + 1, sizeof(*points));
        points[n++] = str_copy(point);
    }
    while (n > 0) {
        umount2(points[--n], MNT_DETACH | UMOUNT_NOFOLLOW);
        free(points[n]);
    }
    free(points);
}

/* Delete all in the data folder but the volumes. */
static void remove_but_volumes(struct undoing *u)
{
    DIR *dir = opendir(u->data_dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct err err;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "volumes") == 0)
            continue;
        if (file_remove_at(dirfd(dir), e->d_name, &err) < 0)
            note(u, &err);
    }
    if (dir)
        closedir(dir);
}

static void remove_folders(struct undoing *u)
{
    struct err err;
    /* What is still mounted there would be emptied. */
    unmount_all(u);
    if (u->options->keep_volumes)
        remove_but_volumes(u);
    else if (file_remove_tree(u->data_dir, &err) < 0)
        note(u, &err);
    if (file_remove_tree(u->run_dir, &err) < 0)
        note(u, &err);
}

/* Never a folder that only happens to have been named. */
static int check_folder(const char *data_dir, struct err *err)
{
    cleanup_free char *identity = str_printf("%s/identity", data_dir);
    struct stat st;
    if (stat(identity, &st) == 0)
        return 0;
    return err_set(err, ERR_NOTFOUND,
                   "%s is no data folder of wherry: it has no 'identity'; name the right one with "
                   "--data",
                   data_dir);
}

/* A witness locks no folder of containers, but answers as all daemons do. */
static bool is_answered(const char *run_dir)
{
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (snprintf(there.sun_path, sizeof(there.sun_path), "%s/wherry.sock", run_dir) >=
        (int)sizeof(there.sun_path))
        return false;
    return fd >= 0 && connect(fd, (const struct sockaddr *)&there, sizeof(there)) == 0;
}

static int open_runtime(const struct undoing *u, struct runtime **ret, struct err *err)
{
    cleanup_free char *cgroups = daemon_cgroup_parent(u->data_dir, u->options->cgroup_parent);
    cleanup_free char *programs = daemon_program_dir();
    const struct runtime_config config = {.data_dir = u->data_dir,
                                          .run_dir = u->run_dir,
                                          .cgroup_parent = cgroups,
                                          .program_dir = programs};
    int rc = is_answered(u->run_dir) ? ERR_BUSY : runtime_open(&config, ret, err);
    if (rc == ERR_BUSY)
        return err_set(err, ERR_BUSY,
                       "a daemon runs on %s: stop it first ('systemctl stop wherry', or SIGTERM to "
                       "the process 'wherry node')",
                       u->data_dir);
    return rc;
}

int uninstall(const struct uninstall_options *options, struct err *err)
{
    const char *data = options->data_dir ? options->data_dir : NODE_DATA_DIR;
    const char *run = options->run_dir ? options->run_dir : NODE_RUN_DIR;
    cleanup_free char *data_dir = realpath(data, NULL);
    cleanup_free char *run_dir = realpath(run, NULL);
    if (!data_dir)
        return err_set(err, ERR_NOTFOUND, "there is no folder %s", data);
    struct undoing u = {
        .options = options, .data_dir = data_dir, .run_dir = run_dir ? run_dir : run};
    struct runtime *rt;
    struct err failed;
    int rc = check_folder(data_dir, err);
    if (rc < 0 || (rc = open_runtime(&u, &rt, err)) < 0)
        return rc;
    remove_containers(&u, rt);
    remove_namespaces(&u);
    if (network_clear(&failed) < 0)
        note(&u, &failed);
    runtime_close(rt);
    remove_folders(&u);
    return u.first.code ? err_set(err, u.first.code, "%s", u.first.msg) : 0;
}
