/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/bundle_parts.h"
#include "runtime/container.h"
#include "runtime/machine.h"
#include "runtime/shim/protocol.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SHM_BYTES = 64 << 20,
    TMPFS_MODE = 01777,
};

/* What every container finds mounted; where it has a part of the host's, that part. */
static const struct {
    const char *target, *type, *source, *options;
} system_mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
    {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"},
    {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
    {"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777"},
};

static json_t *split_options(const char *options)
{
    json_t *array = json_array();
    cleanup_free char *copy = str_copy(options);
    for (char *rest = copy, *one; (one = strsep(&rest, ","));)
        json_array_append_new(array, json_string(one));
    return array;
}

static void add(json_t *mounts, const char *target, const char *type, const char *source,
                json_t *options)
{
    json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type",
                                            type, "source", source, "options", options));
}

static void add_bind(json_t *mounts, const char *source, const char *target,
                     const char *propagation, bool ro)
{
    const char *options[] = {"rbind", propagation ? propagation : "rprivate", ro ? "ro" : "rw"};
    add(mounts, target, "bind", source, bundle_strings(options, ARRAY_SIZE(options)));
}

static bool is_target(const struct container_spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        if (strcmp(spec->mounts[i].target, target) == 0)
            return true;
    }
    for (size_t i = 0; i < spec->tmpfs_n; i++) {
        if (strcmp(spec->tmpfs[i].target, target) == 0)
            return true;
    }
    return false;
}

static void add_system(const struct bundle *b, size_t i, json_t *mounts)
{
    const struct container_spec *spec = b->spec;
    const char *target = system_mounts[i].target, *type = system_mounts[i].type;
    json_t *options = split_options(system_mounts[i].options);
    bool host_ipc = strcmp(target, "/dev/mqueue") == 0 || strcmp(target, "/dev/shm") == 0;
    if (spec->ipc_host && host_ipc) {
        json_decref(options);
        if (access(target, F_OK) == 0) /* else the machine has none either */
            add_bind(mounts, target, target, NULL, false);
        return;
    }
    /* Only who owns the network namespace may mount a sysfs for it. */
    if (spec->userns && strcmp(target, "/sys") == 0) {
        json_decref(options);
        static const char *const bind[] = {"rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"};
        add(mounts, target, "bind", "/sys", bundle_strings(bind, ARRAY_SIZE(bind)));
        return;
    }
    if (strcmp(target, "/dev/shm") == 0) {
        int64_t bytes = spec->shm_bytes > 0 ? spec->shm_bytes : SHM_BYTES;
        cleanup_free char *size = str_printf("size=%lld", (long long)bytes);
        json_array_append_new(options, json_string(size));
    }
    /* /sys and the control groups can be written to by who has everything. */
    if (spec->privileged &&
        strcmp(json_string_value(json_array_get(options, json_array_size(options) - 1)), "ro") == 0)
        json_array_set_new(options, json_array_size(options) - 1, json_string("rw"));
    add(mounts, target, type, system_mounts[i].source, options);
}

static bool is_given(const struct container_tmpfs *t, const char *option)
{
    for (const char *const *o = t->options; o && *o; o++) {
        if (strcmp(*o, option) == 0)
            return true;
    }
    return false;
}

static void add_tmpfs(json_t *mounts, const struct container_tmpfs *t)
{
    static const char *const safe[] = {"nosuid", "nodev", "noexec"};
    json_t *options = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(safe); i++) {
        if (!is_given(t, safe[i] + strlen("no")))
            json_array_append_new(options, json_string(safe[i]));
    }
    cleanup_free char *mode =
        str_printf("mode=%llo", (unsigned long long)(t->mode ? t->mode : TMPFS_MODE));
    json_array_append_new(options, json_string(mode));
    if (t->size_bytes > 0) {
        cleanup_free char *size = str_printf("size=%lld", (long long)t->size_bytes);
        json_array_append_new(options, json_string(size));
    }
    bundle_append(options, t->options);
    add(mounts, t->target, "tmpfs", "tmpfs", options);
}

static size_t depth(json_t *mount)
{
    size_t n = 0;
    const char *path = json_string_value(json_object_get(mount, "destination"));
    for (const char *p = path; p && *p; p++)
        n += *p == '/' && p[1] && p[1] != '/';
    return n;
}

/* Move what is less deep before what is deeper, in order otherwise. */
static void append_by_depth(json_t *mounts, json_t *more)
{
    size_t left = json_array_size(more), i;
    json_t *mount;
    for (size_t d = 0; left > 0; d++) {
        json_array_foreach (more, i, mount) {
            if (depth(mount) == d) {
                json_array_append(mounts, mount);
                left--;
            }
        }
    }
    json_decref(more);
}

json_t *bundle_mounts(const struct bundle *b)
{
    json_t *mounts = json_array(), *more = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(system_mounts); i++) {
        if (!is_target(b->spec, system_mounts[i].target))
            add_system(b, i, mounts);
    }
    static const char *const files[] = {"resolv.conf", "hosts", "hostname"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *source = b->spec->userns ? str_printf("%s/etc/%s", b->rootfs, files[i])
                                                    : str_printf("%s/%s", b->etc_dir, files[i]);
        cleanup_free char *target = str_printf("/etc/%s", files[i]);
        if (!is_target(b->spec, target))
            add_bind(more, source, target, NULL, false);
    }
    for (size_t i = 0; i < b->spec->tmpfs_n; i++)
        add_tmpfs(more, &b->spec->tmpfs[i]);
    for (size_t i = 0; i < b->spec->mounts_n; i++) {
        const struct container_mount *m = &b->spec->mounts[i];
        cleanup_free char *source =
            b->spec->userns ? str_printf("%s/mount-%zu", b->rootfs, i) : str_copy(m->source);
        add_bind(more, source, m->target, m->propagation, m->read_only);
    }
    cleanup_free char *init =
        b->spec->userns ? str_printf("%s/init", b->rootfs) : str_copy(b->init);
    if (b->spec->init)
        add_bind(more, init, SHIM_INIT_PATH, NULL, true);
    append_by_depth(mounts, more);
    return mounts;
}
