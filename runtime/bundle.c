/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bundle.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/rootfs.h"
#include "runtime/seccomp.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIDS_DEFAULT = 4096,
    CPU_PERIOD_US = 100000,
    NOFILE_SOFT = 1024, /* select(2) goes no further; a program that can raises it itself */
    NOFILE_HARD = 524288,
};

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Docker's default set. */
static const char *const capabilities[] = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

static const char *const masked[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
};

static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger"};

/* What every container finds mounted. */
static const struct {
    const char *target, *type, *source, *options;
} system_mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
    {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"},
    {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
    {"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"},
};

static json_t *string_array(const char *const *strings, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_string(strings[i]));
    return array;
}

static json_t *split_options(const char *options)
{
    json_t *array = json_array();
    cleanup_free char *copy = str_copy(options);
    for (char *rest = copy, *one; (one = strsep(&rest, ","));)
        json_array_append_new(array, json_string(one));
    return array;
}

static void append_all(json_t *array, char *const *strings)
{
    for (; strings && *strings; strings++)
        json_array_append_new(array, json_string(*strings));
}

/* Entrypoint, then command. An entrypoint of the spec's own leaves the image's cmd out. */
static json_t *args_json(const struct container_spec *spec, const struct image *image)
{
    json_t *args = json_array();
    append_all(args,
               spec->entrypoint ? (char *const *)(uintptr_t)spec->entrypoint : image->entrypoint);
    if (spec->command)
        append_all(args, (char *const *)(uintptr_t)spec->command);
    else if (!spec->entrypoint)
        append_all(args, image->cmd);
    return args;
}

/* Add "K=V", replacing an earlier K. */
static void set_env(json_t *env, const char *entry)
{
    size_t key = strcspn(entry, "=") + 1, i;
    json_t *old;
    json_array_foreach(env, i, old)
    {
        if (strncmp(json_string_value(old), entry, key) == 0) {
            json_array_set_new(env, i, json_string(entry));
            return;
        }
    }
    json_array_append_new(env, json_string(entry));
}

static json_t *env_json(const struct bundle *b)
{
    json_t *env = json_array();
    cleanup_free char *home = str_printf("HOME=%s", b->user->home);
    set_env(env, DEFAULT_PATH);
    set_env(env, home);
    if (b->spec->hostname) {
        cleanup_free char *hostname = str_printf("HOSTNAME=%s", b->spec->hostname);
        set_env(env, hostname);
    }
    for (char *const *e = b->image->env; e && *e; e++) {
        if (strchr(*e, '='))
            set_env(env, *e);
    }
    for (const char *const *e = b->spec->env; e && *e; e++)
        set_env(env, *e);
    return env;
}

const char *bundle_working_dir(const struct container_spec *spec, const struct image *image)
{
    if (spec->working_dir)
        return spec->working_dir;
    return image->working_dir && image->working_dir[0] == '/' ? image->working_dir : "/";
}

static json_t *user_json(const struct rootfs_user *user)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < user->groups_n; i++)
        json_array_append_new(groups, json_integer(user->groups[i]));
    return json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user->uid, "gid", (json_int_t)user->gid,
                     "additionalGids", groups);
}

static json_t *process_json(const struct bundle *b, json_t *args)
{
    json_t *caps = json_object();
    /* Like Docker none are inheritable or ambient: a plain user starts without any. */
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        json_object_set_new(caps, sets[i], string_array(capabilities, ARRAY_SIZE(capabilities)));
    json_int_t hard = b->nofile_hard < NOFILE_HARD ? b->nofile_hard : NOFILE_HARD;
    json_int_t soft = hard < NOFILE_SOFT ? hard : NOFILE_SOFT;
    return json_pack("{s:b, s:o, s:o, s:o, s:s, s:o, s:b, s:i, s:[{s:s, s:I, s:I}]}", "terminal", 0,
                     "user", user_json(b->user), "args", args, "env", env_json(b), "cwd",
                     bundle_working_dir(b->spec, b->image), "capabilities", caps, "noNewPrivileges",
                     0, "oomScoreAdj", b->oom_score_adj, "rlimits", "type", "RLIMIT_NOFILE", "hard",
                     hard, "soft", soft);
}

static void add_bind(json_t *mounts, const char *source, const char *target, bool ro)
{
    json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:[s, s, s]}", "destination", target,
                                            "type", "bind", "source", source, "options", "rbind",
                                            "rprivate", ro ? "ro" : "rw"));
}

static bool is_target(const struct container_spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        if (strcmp(spec->mounts[i].target, target) == 0)
            return true;
    }
    return false;
}

static json_t *mounts_json(const struct bundle *b)
{
    json_t *mounts = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(system_mounts); i++) {
        if (is_target(b->spec, system_mounts[i].target))
            continue;
        json_array_append_new(
            mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", system_mounts[i].target,
                              "type", system_mounts[i].type, "source", system_mounts[i].source,
                              "options", split_options(system_mounts[i].options)));
    }
    static const char *const files[] = {"resolv.conf", "hosts", "hostname"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *source = str_printf("%s/%s", b->etc_dir, files[i]);
        cleanup_free char *target = str_printf("/etc/%s", files[i]);
        if (!is_target(b->spec, target))
            add_bind(mounts, source, target, false);
    }
    for (size_t i = 0; i < b->spec->mounts_n; i++)
        add_bind(mounts, b->spec->mounts[i].source, b->spec->mounts[i].target,
                 b->spec->mounts[i].read_only);
    return mounts;
}

static json_t *resources_json(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *resources = json_pack("{s:[{s:b, s:s}]}", "devices", "allow", 0, "access", "rwm");
    if (spec->memory_bytes > 0) {
        json_t *memory = json_pack("{s:I}", "limit", (json_int_t)spec->memory_bytes);
        /* Memory and swap together: no swap. */
        if (b->has_swap)
            json_object_set_new(memory, "swap", json_integer(spec->memory_bytes));
        json_object_set_new(resources, "memory", memory);
    }
    if (spec->cpu_milli > 0)
        json_object_set_new(resources, "cpu",
                            json_pack("{s:I, s:i}", "quota",
                                      (json_int_t)spec->cpu_milli * (CPU_PERIOD_US / 1000),
                                      "period", CPU_PERIOD_US));
    if (b->has_pids)
        json_object_set_new(
            resources, "pids",
            json_pack("{s:I}", "limit",
                      (json_int_t)(spec->pids_max > 0 ? spec->pids_max : PIDS_DEFAULT)));
    return resources;
}

static json_t *linux_json(const struct bundle *b)
{
    json_t *spaces = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}]", "type", "pid", "type", "mount",
                               "type", "ipc", "type", "uts");
    if (b->spec->netns)
        json_array_append_new(spaces,
                              json_pack("{s:s, s:s}", "type", "network", "path", b->spec->netns));
    if (b->cgroup_v2)
        json_array_append_new(spaces, json_pack("{s:s}", "type", "cgroup"));
    json_t *linux_part = json_pack("{s:s, s:o, s:o, s:o, s:o}", "cgroupsPath", b->cgroup,
                                   "namespaces", spaces, "resources", resources_json(b),
                                   "maskedPaths", string_array(masked, ARRAY_SIZE(masked)),
                                   "readonlyPaths", string_array(read_only, ARRAY_SIZE(read_only)));
    json_t *seccomp = seccomp_json();
    if (seccomp)
        json_object_set_new(linux_part, "seccomp", seccomp);
    return linux_part;
}

static int check_limits(const struct bundle *b, struct err *err)
{
    const struct container_spec *spec = b->spec;
    const char *missing = spec->memory_bytes > 0 && !b->has_memory ? "memory"
                          : spec->cpu_milli > 0 && !b->has_cpu     ? "cpu"
                          : spec->pids_max > 0 && !b->has_pids     ? "pids"
                                                                   : NULL;
    if (missing)
        return err_set(err, ERR_UNSUPPORTED,
                       "a %s limit needs the %s cgroup controller, which this machine lacks",
                       missing, missing);
    return 0;
}

int bundle_write(const struct bundle *b, struct buf *out, struct err *err)
{
    int rv = check_limits(b, err);
    if (rv < 0)
        return rv;
    json_t *args = args_json(b->spec, b->image);
    if (json_array_size(args) == 0) {
        json_decref(args);
        return err_set(err, ERR_INVALID, "image %s names no command and none was given",
                       str_or_empty(b->image->name));
    }
    json_t *config =
        json_pack("{s:s, s:o, s:{s:s, s:b}, s:o, s:o}", "ociVersion", "1.0.0", "process",
                  process_json(b, args), "root", "path", b->rootfs, "readonly", b->spec->read_only,
                  "mounts", mounts_json(b), "linux", linux_json(b));
    if (config && b->spec->hostname)
        json_object_set_new(config, "hostname", json_string(b->spec->hostname));
    cleanup_free char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    if (!text)
        return err_set(err, ERR_INVALID, "image %s: its config is not valid UTF-8",
                       str_or_empty(b->image->name));
    buf_puts(out, text);
    return 0;
}
