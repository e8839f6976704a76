/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/runtime.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/cgroup.h"
#include "runtime/idmap.h"
#include "runtime/image.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_bpf.h"
#include "runtime/volume_snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
        /* The root of a user namespace comes through to its own container's folder. */
        if (rv == 0 && strcmp(run_dirs[i], "/containers") == 0 && chmod(path, 0711) < 0)
            rv = err_errno(err, errno, "set the mode of %s", path);
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

/* The default profile is read once. */
static int read_seccomp(struct runtime *rt, const char *path, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(path, SECCOMP_TEXT_MAX, &text, err);
    if (rv == 0)
        rv = seccomp_profile_parse(text.data, text.len, &rt->seccomp, err);
    if (rv < 0)
        err_wrap(err, "default profile %s", path);
    return rv;
}

static int open_parts(struct runtime *rt, const struct runtime_config *config, struct err *err)
{
    int rv = make_dirs(rt, err);
    if (rv == 0 && config->seccomp_profile)
        rv = read_seccomp(rt, config->seccomp_profile, err);
    if (rv < 0)
        return rv;
    if ((rv = lock_data(rt, err)) < 0 || (rv = read_boot_id(rt, err)) < 0 ||
        (rv = cgroup_probe(rt, err)) < 0)
        return rv;
    oci_probe_sweep(rt);
    if ((rv = oci_open(rt, config, err)) < 0)
        return rv;
    /* What limits there are is seen in it. */
    cleanup_free char *groups = str_printf("%s/container", rt->cgroup_parent);
    if ((rv = cgroup_make(rt, groups, err)) < 0)
        return rv;
    cleanup_free char *index = str_printf("%s/images/index.db", rt->data_dir);
    if ((rv = index_open(index, &rt->index, err)) < 0)
        return rv;
    container_sweep(rt);
    volume_snapshot_recover(rt);
    image_forget_lost(rt);
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
    if (config->userns_base != 0 &&
        (config->userns_base < IDMAP_SIZE || config->userns_base > UINT32_MAX / 2))
        return err_set(err, ERR_INVALID, "userns_base: %lld is not in %d..%u",
                       (long long)config->userns_base, (int)IDMAP_SIZE, UINT32_MAX / 2);
    struct runtime *rt = mem_alloc(1, sizeof(*rt));
    rt->data_dir = str_copy(config->data_dir);
    rt->run_dir = str_copy(config->run_dir);
    rt->cgroup_parent = str_copy(config->cgroup_parent);
    rt->program_dir = str_copy(config->program_dir);
    rt->plain_http = copy_strings(config->plain_http);
    rt->exits_dir = str_printf("%s/exits", config->run_dir);
    rt->lock_fd = -1;
    rt->userns_base =
        config->userns_base > 0 ? (uint32_t)config->userns_base : (uint32_t)IDMAP_BASE_DEFAULT;
    rt->seccomp_cache = seccomp_cache_new();
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
    oci_close(rt);
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
    seccomp_cache_free(rt->seccomp_cache);
    seccomp_profile_free(rt->seccomp);
    free(rt);
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
