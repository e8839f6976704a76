/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container_check.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/cpuset.h"
#include "runtime/device.h"
#include "runtime/sysctl.h"
#include "runtime/ulimit.h"

#include <string.h>

enum {
    MEMORY_MIN = 6 << 20,
    CPU_MILLI_MIN = 10,
    CPU_SHARES_MIN = 2,
    CPU_SHARES_MAX = 262144,
    IO_WEIGHT_MIN = 10,
    IO_WEIGHT_MAX = 1000,
    OOM_SCORE_MAX = 1000,
    SHM_MIN = 4096,
    LOG_FILES_MAX = 64,
};

bool container_path_ok(const char *path)
{
    if (!path || path[0] != '/' || strlen(path) >= 4096 || strpbrk(path, "\n"))
        return false;
    cleanup_free char *copy = str_copy(path);
    for (char *rest = copy, *part; (part = strsep(&rest, "/"));) {
        if (strcmp(part, "..") == 0 || strcmp(part, ".") == 0)
            return false;
    }
    return true;
}

static int refuse_path(const char *what, const char *path, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s '%.120s' is not an absolute plain path", what,
                   str_or_empty(path));
}

/* Lists of "K=V". */
static int check_pairs(const char *field, const char *const *list, struct err *err)
{
    for (; list && *list; list++) {
        const char *equals = strchr(*list, '=');
        if (!equals || equals == *list)
            return err_set(err, ERR_INVALID, "%s: '%.60s' is not NAME=VALUE", field, *list);
    }
    return 0;
}

static int check_mounts(const struct container_spec *spec, struct err *err)
{
    static const char *const ways[] = {"private", "rprivate", "shared",
                                       "rshared", "slave",    "rslave"};
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct container_mount *m = &spec->mounts[i];
        if (!container_path_ok(m->source))
            return refuse_path("mounts: source", m->source, err);
        if (!container_path_ok(m->target) || strcmp(m->target, "/") == 0)
            return refuse_path("mounts: target", m->target, err);
        bool known = !m->propagation;
        for (size_t w = 0; w < ARRAY_SIZE(ways) && !known; w++)
            known = strcmp(m->propagation, ways[w]) == 0;
        if (!known)
            return err_set(err, ERR_INVALID,
                           "mounts: propagation '%.20s' is none of private, shared, slave and "
                           "these with an r",
                           m->propagation);
    }
    return 0;
}

/* One option of mount(8) for a tmpfs: no comma, which would make it two. */
static bool tmpfs_option_ok(const char *option)
{
    static const char *const allowed[] = {
        "ro",       "rw",         "suid",        "nosuid",        "dev",
        "nodev",    "exec",       "noexec",      "sync",          "async",
        "dirsync",  "atime",      "noatime",     "diratime",      "nodiratime",
        "relatime", "norelatime", "strictatime", "nostrictatime", "size=",
        "mode=",    "uid=",       "gid=",        "nr_inodes=",    "nr_blocks=",
        "mpol=",    "huge="};
    for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
        size_t len = strlen(allowed[i]);
        bool value = allowed[i][len - 1] == '=';
        if (value ? strncmp(option, allowed[i], len) == 0 && !strchr(option, ',')
                  : strcmp(option, allowed[i]) == 0)
            return true;
    }
    return false;
}

static int check_tmpfs(const struct container_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->tmpfs_n; i++) {
        const struct container_tmpfs *t = &spec->tmpfs[i];
        if (!container_path_ok(t->target) || strcmp(t->target, "/") == 0)
            return refuse_path("tmpfs: target", t->target, err);
        if (t->mode > 07777)
            return err_set(err, ERR_INVALID, "tmpfs: mode %llo of %s", (long long)t->mode,
                           t->target);
        for (const char *const *o = t->options; o && *o; o++) {
            if (!tmpfs_option_ok(*o))
                return err_set(err, ERR_INVALID, "tmpfs: '%.60s' is no option of a tmpfs", *o);
        }
    }
    return 0;
}

static int check_devices(const struct container_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->devices_n; i++) {
        const struct container_device *d = &spec->devices[i];
        if (!container_path_ok(d->source))
            return refuse_path("devices: source", d->source, err);
        if (d->target && !container_path_ok(d->target))
            return refuse_path("devices: target", d->target, err);
        if (d->access && !device_access_ok(d->access))
            return err_set(err, ERR_INVALID, "devices: access '%.20s' of %s is not of r, w, m",
                           d->access, d->source);
    }
    for (const char *const *r = spec->device_rules; r && *r; r++) {
        struct device_rule rule;
        if (!device_rule_parse(*r, &rule))
            return err_set(
                err, ERR_INVALID,
                "device_rules: '%.60s' is not like \"c 1:3 rwm\" (a, b or c; MAJOR:MINOR "
                "or *; of r, w, m)",
                *r);
    }
    for (size_t i = 0; i < spec->io_n; i++) {
        if (!container_path_ok(spec->io[i].path))
            return refuse_path("io: device", spec->io[i].path, err);
        if (spec->io[i].kind == CONTAINER_IO_WEIGHT &&
            (spec->io[i].value < IO_WEIGHT_MIN || spec->io[i].value > IO_WEIGHT_MAX))
            return err_set(err, ERR_INVALID, "io: weight %lld of %s is not in %d..%d",
                           (long long)spec->io[i].value, spec->io[i].path, IO_WEIGHT_MIN,
                           IO_WEIGHT_MAX);
    }
    return 0;
}

static int check_ulimits(const struct container_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->ulimits_n; i++) {
        const struct container_ulimit *u = &spec->ulimits[i];
        if (!u->name || ulimit_number(u->name) < 0)
            return err_set(err, ERR_INVALID, "ulimits: there is no limit '%.60s'",
                           str_or_empty(u->name));
        if (u->soft < -1 || u->hard < -1 || (u->hard >= 0 && (u->soft < 0 || u->soft > u->hard)))
            return err_set(err, ERR_INVALID, "ulimits: %s: soft %lld is above hard %lld, or none",
                           u->name, (long long)u->soft, (long long)u->hard);
    }
    return 0;
}

/* A number that is 0 or from @least to @most. */
static int check_range(const char *field, int64_t value, int64_t least, int64_t most,
                       struct err *err)
{
    if (value == 0 || (value >= least && value <= most))
        return 0;
    return err_set(err, ERR_INVALID, "%s: %lld is not in %lld..%lld", field, (long long)value,
                   (long long)least, (long long)most);
}

static int check_numbers(const struct container_spec *spec, struct err *err)
{
    cpu_set_t cpus;
    int rv;
    if (spec->memory_bytes > 0 && spec->memory_bytes < MEMORY_MIN)
        return err_set(err, ERR_INVALID, "memory_bytes: %lld is below the least of 6 MiB",
                       (long long)spec->memory_bytes);
    if (spec->cpu_milli > 0 && spec->cpu_milli < CPU_MILLI_MIN)
        return err_set(err, ERR_INVALID, "cpu_milli: %lld is below the least of %d",
                       (long long)spec->cpu_milli, CPU_MILLI_MIN);
    if (spec->memswap_bytes < -1 || (spec->memswap_bytes != 0 && spec->memory_bytes == 0) ||
        (spec->memswap_bytes > 0 && spec->memswap_bytes < spec->memory_bytes))
        return err_set(err, ERR_INVALID,
                       "memswap_bytes: %lld is memory and swap together: it needs memory_bytes and "
                       "is not below them",
                       (long long)spec->memswap_bytes);
    if (spec->memory_bytes > 0 && spec->reserved_bytes > spec->memory_bytes)
        return err_set(err, ERR_INVALID, "reserved_bytes: %lld is above memory_bytes",
                       (long long)spec->reserved_bytes);
    if (spec->cpuset && !cpuset_parse(spec->cpuset, &cpus))
        return err_set(err, ERR_INVALID, "cpuset: '%.60s' is not like \"0-3,7\"", spec->cpuset);
    if ((rv = check_range("swappiness_set", spec->swappiness_set, 1, 101, err)) < 0 ||
        (rv = check_range("cpu_shares", spec->cpu_shares, CPU_SHARES_MIN, CPU_SHARES_MAX, err)) <
            0 ||
        (rv = check_range("io_weight", spec->io_weight, IO_WEIGHT_MIN, IO_WEIGHT_MAX, err)) < 0 ||
        (rv = check_range("oom_score_adj", spec->oom_score_adj, -OOM_SCORE_MAX, OOM_SCORE_MAX,
                          err)) < 0 ||
        (rv = check_range("shm_bytes", spec->shm_bytes, SHM_MIN, INT64_MAX, err)) < 0)
        return rv;
    return check_range("log_files", spec->log_files, 1, LOG_FILES_MAX, err);
}

static bool name_ok(const char *name, size_t most)
{
    return strlen(name) <= most && !strpbrk(name, " \t\n/");
}

static int check_names(const struct container_spec *spec, struct err *err)
{
    if (spec->hostname && !name_ok(spec->hostname, 63))
        return err_set(err, ERR_INVALID, "hostname: '%.80s' is none", spec->hostname);
    if (spec->domainname && !name_ok(spec->domainname, 63))
        return err_set(err, ERR_INVALID, "domainname: '%.80s' is none", spec->domainname);
    if (spec->working_dir && !container_path_ok(spec->working_dir))
        return refuse_path("working_dir:", spec->working_dir, err);
    if (spec->netns && !container_path_ok(spec->netns))
        return refuse_path("netns:", spec->netns, err);
    if (spec->stop_signal && container_record_signal(spec->stop_signal) == 0)
        return err_set(err, ERR_INVALID, "stop_signal: there is no signal '%.60s'",
                       spec->stop_signal);
    if (spec->apparmor && !name_ok(spec->apparmor, 255))
        return err_set(err, ERR_INVALID, "apparmor: '%.60s' is no profile's name", spec->apparmor);
    if (spec->oci_runtime && (!*spec->oci_runtime || !name_ok(spec->oci_runtime, 63)))
        return err_set(err, ERR_INVALID, "oci_runtime: '%.60s' is no runtime's name",
                       spec->oci_runtime);
    for (const char *const *g = spec->group_add; g && *g; g++) {
        if (!**g || strpbrk(*g, ":\n"))
            return err_set(err, ERR_INVALID, "group_add: '%.60s' is no group", *g);
    }
    return 0;
}

/* What cannot be had together. */
static int check_namespaces(const struct container_spec *spec, struct err *err)
{
    const struct {
        bool both;
        const char *what;
    } pairs[] = {
        {spec->uts_host && spec->hostname, "hostname: the machine's own with uts_host"},
        {spec->uts_host && spec->domainname, "domainname: the machine's own with uts_host"},
        {spec->userns && spec->pid_host, "userns: not together with pid_host"},
        {spec->userns && spec->ipc_host, "userns: not together with ipc_host"},
        {spec->userns && spec->uts_host, "userns: not together with uts_host"},
        {spec->userns && spec->domainname, "userns: not together with domainname"},
        {spec->userns && spec->privileged, "userns: not together with privileged"},
        {spec->userns && spec->devices_n > 0, "userns: not together with devices"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (pairs[i].both)
            return err_set(err, ERR_INVALID, "%s", pairs[i].what);
    }
    return 0;
}

int container_check(const struct container_spec *spec, struct err *err)
{
    if (!container_record_id_ok(spec->id))
        return err_set(err, ERR_INVALID, "id: '%s' is not 1 to 32 of a-z, 0-9 and -",
                       str_or_empty(spec->id));
    if (!spec->image)
        return err_set(err, ERR_INVALID, "image: missing");
    int rv;
    if ((rv = check_names(spec, err)) < 0 || (rv = check_pairs("env", spec->env, err)) < 0 ||
        (rv = check_pairs("labels", spec->labels, err)) < 0 ||
        (rv = check_pairs("annotations", spec->annotations, err)) < 0 ||
        (rv = check_mounts(spec, err)) < 0 || (rv = check_tmpfs(spec, err)) < 0 ||
        (rv = check_devices(spec, err)) < 0 || (rv = check_ulimits(spec, err)) < 0 ||
        (rv = check_numbers(spec, err)) < 0 || (rv = check_namespaces(spec, err)) < 0 ||
        (rv = sysctl_check(spec, err)) < 0)
        return rv;
    return 0;
}
