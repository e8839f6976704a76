/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/cgroup.h"
#include "runtime/image.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "runtime/oci.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_WAIT_MS = 1000,
};

/* Paths go into mount options and one-line records. */
static int check_path(const char *what, const char *path, struct err *err)
{
    if (!path || path[0] != '/')
        return err_set(err, ERR_INVALID, "%s %s is not an absolute path", what,
                       path ? path : "(none)");
    if (strlen(path) > 512 || strpbrk(path, ",:\\\n\"") || strstr(path, ".."))
        return err_set(err, ERR_INVALID,
                       "%s %s: use a path of at most 512 bytes without , : \\ \" or ..", what,
                       path);
    return 0;
}

static int make_dirs(struct runtime *rt, struct err *err)
{
    static const char *const data_dirs[] = {
        "", "/images", "/images/blobs/sha256", "/images/layers", "/containers", "/volumes"};
    static const char *const run_dirs[] = {"", "/containers", "/netns", "/oci", "/exits"};
    int rv = 0;
    for (size_t i = 0; i < ARRAY_SIZE(data_dirs) && rv == 0; i++) {
        cleanup_free char *path = str_printf("%s%s", rt->data_dir, data_dirs[i]);
        /* Layers hold setuid programs: no stranger on this machine gets to them. */
        rv = file_mkdirs(path, i == 0 ? 0711 : 0700, err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(run_dirs) && rv == 0; i++) {
        cleanup_free char *path = str_printf("%s%s", rt->run_dir, run_dirs[i]);
        rv = file_mkdirs(path, i == 0 ? 0755 : 0700, err);
    }
    return rv;
}

static int read_boot_id(struct runtime *rt, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read("/proc/sys/kernel/random/boot_id", 128, &text, err);
    if (rv < 0)
        return rv;
    text.data[strcspn(text.data, "\n")] = '\0';
    str_fill(rt->boot_id, sizeof(rt->boot_id), text.data);
    return 0;
}

/* A process that a killed daemon was just starting holds its lock until it executes its program:
 * a moment's patience, so that a restart does not fail for it. */
static int lock_data(struct runtime *rt, struct err *err)
{
    cleanup_free char *path = str_printf("%s/lock", rt->data_dir);
    int64_t deadline = clock_boot_ms() + LOCK_WAIT_MS;
    for (;;) {
        int rv = file_lock(path, &rt->lock_fd, err);
        if (rv != ERR_BUSY || clock_boot_ms() > deadline)
            return rv;
        struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
}

static int open_parts(struct runtime *rt, const struct runtime_config *config, struct err *err)
{
    int rv = make_dirs(rt, err);
    if (rv < 0)
        return rv;
    if ((rv = lock_data(rt, err)) < 0 || (rv = read_boot_id(rt, err)) < 0 ||
        (rv = cgroup_probe(rt, err)) < 0 || (rv = oci_probe(rt, config->oci_runtime, err)) < 0)
        return rv;
    cleanup_free char *index = str_printf("%s/images/index.db", rt->data_dir);
    if ((rv = index_open(index, &rt->index, err)) < 0)
        return rv;
    container_sweep(rt);
    return 0;
}

static char **copy_strings(const char *const *strings)
{
    size_t n = 0;
    while (strings && strings[n])
        n++;
    char **copy = mem_alloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = str_copy(strings[i]);
    return copy;
}

int runtime_open(const struct runtime_config *config, struct runtime **ret_rt, struct err *err)
{
    int rv;
    if ((rv = check_path("data folder", config->data_dir, err)) < 0 ||
        (rv = check_path("run folder", config->run_dir, err)) < 0 ||
        (rv = check_path("cgroup parent", config->cgroup_parent, err)) < 0 ||
        (rv = check_path("program folder", config->program_dir, err)) < 0)
        return rv;
    struct runtime *rt = mem_alloc(1, sizeof(*rt));
    rt->data_dir = str_copy(config->data_dir);
    rt->run_dir = str_copy(config->run_dir);
    rt->cgroup_parent = str_copy(config->cgroup_parent);
    rt->program_dir = str_copy(config->program_dir);
    rt->plain_http = copy_strings(config->plain_http);
    rt->exits_dir = str_printf("%s/exits", config->run_dir);
    rt->lock_fd = -1;
    rv = open_parts(rt, config, err);
    if (rv < 0) {
        runtime_close(rt);
        return rv;
    }
    *ret_rt = rt;
    return 0;
}

/* Take away the control groups that nothing lives in. */
static void drop_groups(struct runtime *rt)
{
    static const char *const groups[] = {"/shim", "/container", ""};
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        cleanup_free char *group = str_printf("%s%s", rt->cgroup_parent, groups[i]);
        cgroup_drop(rt, group);
    }
}

void runtime_close(struct runtime *rt)
{
    if (!rt)
        return;
    index_close(rt->index);
    drop_groups(rt);
    cgroup_release(rt);
    if (rt->lock_fd >= 0)
        close(rt->lock_fd);
    free(rt->data_dir);
    free(rt->run_dir);
    free(rt->cgroup_parent);
    free(rt->program_dir);
    image_strings_free(rt->plain_http);
    free(rt->exits_dir);
    free(rt->oci_path);
    free(rt->oci_version);
    free(rt);
}

const char *runtime_oci_version(const struct runtime *rt)
{
    return rt->oci_version;
}

const char *runtime_cgroup_mode(const struct runtime *rt)
{
    switch (rt->cgroup_mode) {
    case CGROUP_V1:
        return "v1";
    case CGROUP_HYBRID:
        return "hybrid";
    case CGROUP_V2:
        return "v2";
    }
    return "v2";
}
