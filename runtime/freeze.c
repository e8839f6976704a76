/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/freeze.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/internal.h"

#include <string.h>
#include <time.h>

enum {
    FREEZE_MS = 10000,
    FILE_MAX = 4096,
};

/* Where the freezer of @group is; *@ret_v2 says of which version. NULL: this machine has none. */
static char *freezer_dir(const struct runtime *rt, const char *group, bool *ret_v2)
{
    *ret_v2 = rt->cgroup_mode == CGROUP_V2;
    if (!*ret_v2)
        return cgroup_file(rt, "freezer", group, "");
    return str_printf("%s%s/", rt->cgroup_mounts[0].path, group);
}

static bool file_says(const char *dir, const char *name, const char *what)
{
    cleanup_free char *path = str_printf("%s%s", dir, name);
    cleanup_buf struct buf text = BUF_INIT;
    return file_read(path, FILE_MAX, &text, NULL) == 0 && strstr(str_or_empty(text.data), what);
}

bool freeze_is_on(const struct runtime *rt, const char *group)
{
    bool v2;
    cleanup_free char *dir = freezer_dir(rt, group, &v2);
    if (!dir)
        return false;
    /* "FREEZING" is what stays when a process cannot be frozen. */
    return v2 ? file_says(dir, "cgroup.freeze", "1") : file_says(dir, "freezer.state", "F");
}

static bool is_frozen(const char *dir, bool v2)
{
    return v2 ? file_says(dir, "cgroup.events", "frozen 1")
              : file_says(dir, "freezer.state", "FROZEN");
}

static int set(const char *dir, bool v2, bool on, struct err *err)
{
    cleanup_free char *path = str_printf("%s%s", dir, v2 ? "cgroup.freeze" : "freezer.state");
    const char *text = v2 ? (on ? "1" : "0") : (on ? "FROZEN" : "THAWED");
    return file_write_kernel(path, text, err);
}

int freeze_group(const struct runtime *rt, const char *group, struct err *err)
{
    bool v2;
    cleanup_free char *dir = freezer_dir(rt, group, &v2);
    if (!dir)
        return err_set(err, ERR_UNSUPPORTED,
                       "this machine has no freezer cgroup controller, which pausing needs");
    int64_t deadline = clock_boot_ms() + FREEZE_MS;
    int rv = set(dir, v2, true, err);
    while (rv == 0 && !is_frozen(dir, v2)) {
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
        if (clock_boot_ms() > deadline)
            rv = err_set(err, ERR_TIMEOUT,
                         "its processes cannot be frozen; one may hang in a device or network "
                         "file system");
        else if (!v2) /* one that was forked meanwhile is frozen by asking again */
            rv = set(dir, v2, true, err);
    }
    if (rv < 0)
        set(dir, v2, false, NULL);
    return rv;
}

void freeze_thaw(const struct runtime *rt, const char *group)
{
    bool v2;
    cleanup_free char *dir = freezer_dir(rt, group, &v2);
    if (dir)
        set(dir, v2, false, NULL);
}

static int check_runs(struct runtime *rt, const char *id, struct err *err)
{
    struct container_state state;
    int rv = container_state(rt, id, &state, err);
    if (rv == 0 && state.status != CONTAINER_RUNNING)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    return rv;
}

int container_pause(struct runtime *rt, const char *id, struct err *err)
{
    int rv = check_runs(rt, id, err);
    if (rv < 0)
        return rv;
    cleanup_free char *group = container_group(rt, id);
    rv = freeze_group(rt, group, err);
    return rv < 0 ? err_wrap(err, "pause container %s", id) : 0;
}

int container_resume(struct runtime *rt, const char *id, struct err *err)
{
    bool v2;
    int rv = check_runs(rt, id, err);
    if (rv < 0)
        return rv;
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *dir = freezer_dir(rt, group, &v2);
    if (dir && (rv = set(dir, v2, false, err)) < 0)
        return err_wrap(err, "resume container %s", id);
    return 0;
}
