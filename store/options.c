/* SPDX-License-Identifier: Apache-2.0 */
#include "store/options.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DOMAINNAME_BYTES_MAX = 63, /* as much as Linux keeps (uname(2)), without its end */
};

/* --- single values ------------------------------------------------------------------------- */

static int check_form(const char *key, enum option_form form, const char *text, struct err *err)
{
    text = str_or_empty(text);
    if (option_ok(form, text))
        return 0;
    return err_set(err, ERR_INVALID, "%s: \"%.60s\" is not %s", key, text, option_meant(form));
}

static int check_amount(const char *key, int64_t value, int64_t min, int64_t max, struct err *err)
{
    if (value >= min && value <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s is %" PRId64 ", not within %" PRId64 " to %" PRId64, key,
                   value, min, max);
}

static int check_count(const char *key, size_t n, size_t max, struct err *err)
{
    if (n <= max)
        return 0;
    return err_set(err, ERR_INVALID, "%s: %zu are more than %zu", key, n, max);
}

static int check_texts(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    const struct {
        const char *key;
        char *const *list;
        size_t n;
        size_t max;
        enum option_form form;
    } lists[] = {
        {"group_add", o->group_add, o->group_add_n, OPTIONS_GROUPS_MAX, OPTION_GROUP},
        {"extra_hosts", o->extra_hosts, o->extra_hosts_n, OPTIONS_HOSTS_MAX, OPTION_EXTRA_HOST},
        {"dns", o->dns, o->dns_n, OPTIONS_NAMESERVERS_MAX, OPTION_NAMESERVER},
        {"dns_search", o->dns_search, o->dns_search_n, OPTIONS_SEARCH_MAX, OPTION_DOMAIN},
        {"dns_opt", o->dns_opt, o->dns_opt_n, OPTIONS_RESOLVER_MAX, OPTION_RESOLVER},
        {"cap_add", o->cap_add, o->cap_add_n, OPTIONS_CAPABILITIES_MAX, OPTION_CAPABILITY},
        {"cap_drop", o->cap_drop, o->cap_drop_n, OPTIONS_CAPABILITIES_MAX, OPTION_CAPABILITY},
        {"device_cgroup_rules", o->device_rules, o->device_rules_n, OPTIONS_DEVICES_MAX,
         OPTION_DEVICE_RULE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        int rv = check_count(lists[i].key, lists[i].n, lists[i].max, err);
        for (size_t k = 0; k < lists[i].n && rv == 0; k++)
            rv = check_form(lists[i].key, lists[i].form, lists[i].list[k], err);
        if (rv < 0)
            return rv;
    }
    const struct {
        const char *key;
        const char *text;
        enum option_form form;
    } texts[] = {
        {"domainname", o->domainname, OPTION_DOMAIN},
        {"cpuset", o->cpuset, OPTION_CPUSET},
        {"runtime", o->runtime, OPTION_RUNTIME},
        {"platform", spec->platform, OPTION_PLATFORM},
        {"security_opt.apparmor", o->apparmor, OPTION_PROFILE},
    };
    int rv = 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts) && rv == 0; i++)
        if (*str_or_empty(texts[i].text))
            rv = check_form(texts[i].key, texts[i].form, texts[i].text, err);
    return rv;
}

static int check_choices(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    const struct {
        const char *key;
        const char *text;
        const char *const *choices;
    } texts[] = {
        {"pid", o->pid, (const char *const[]){"host", NULL}},
        {"ipc", o->ipc, (const char *const[]){"private", "host", NULL}},
        {"uts", o->uts, (const char *const[]){"host", NULL}},
        {"userns_mode", o->userns, (const char *const[]){"host", "auto", NULL}},
        {"cgroup", o->cgroup, (const char *const[]){"private", "host", NULL}},
        {"logging.driver", o->logging.driver, (const char *const[]){"json-file", "none", NULL}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *text = str_or_empty(texts[i].text);
        bool known = *text == '\0';
        for (const char *const *choice = texts[i].choices; *choice && !known; choice++)
            known = strcmp(*choice, text) == 0;
        if (!known)
            return err_set(err, ERR_INVALID, "%s: \"%.60s\" is not %s%s%s", texts[i].key, text,
                           texts[i].choices[0], texts[i].choices[1] ? " or " : "",
                           str_or_empty(texts[i].choices[1]));
    }
    return 0;
}

static int check_amounts(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    const struct {
        const char *key;
        int64_t value;
        int64_t min;
        int64_t max;
    } amounts[] = {
        {"shm_size", o->shm_bytes ? o->shm_bytes : OPTIONS_SHM_BYTES_MIN, OPTIONS_SHM_BYTES_MIN,
         MEMORY_BYTES_MAX},
        {"memswap_limit", o->memswap_bytes, -1, MEMORY_BYTES_MAX},
        {"mem_swappiness", o->swappiness_set ? o->swappiness_set - 1 : 0, 0, 100},
        {"mem_reservation", o->reserved_bytes, 0, MEMORY_BYTES_MAX},
        {"cpu_shares", o->cpu_shares ? o->cpu_shares : OPTIONS_CPU_SHARES_MIN,
         OPTIONS_CPU_SHARES_MIN, OPTIONS_CPU_SHARES_MAX},
        {"blkio_config.weight", o->blkio.weight ? o->blkio.weight : OPTIONS_IO_WEIGHT_MIN,
         OPTIONS_IO_WEIGHT_MIN, OPTIONS_IO_WEIGHT_MAX},
        {"oom_score_adj", o->oom_score_adj, -OPTIONS_OOM_SCORE_MAX, OPTIONS_OOM_SCORE_MAX},
        {"storage_opt.size", o->storage_bytes, 0, MEMORY_BYTES_MAX},
    };
    int rv = 0;
    for (size_t i = 0; i < ARRAY_SIZE(amounts) && rv == 0; i++)
        rv = check_amount(amounts[i].key, amounts[i].value, amounts[i].min, amounts[i].max, err);
    return rv;
}

/* --- lists of records ---------------------------------------------------------------------- */

static bool is_mounted(const struct spec *spec, const char *target)
{
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (str_equal(spec->mounts[i].target, target))
            return true;
    return false;
}

static int check_tmpfs(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    int rv = check_count("tmpfs", o->tmpfs_n, OPTIONS_TMPFS_MAX, err);
    for (size_t i = 0; i < o->tmpfs_n && rv == 0; i++) {
        const struct tmpfs_spec *t = &o->tmpfs[i];
        rv = check_form("tmpfs", OPTION_PATH, t->target, err);
        if (rv == 0)
            rv = check_amount("tmpfs: size", t->size_bytes, 0, MEMORY_BYTES_MAX, err);
        if (rv == 0)
            rv = check_amount("tmpfs: mode", t->mode, 0, 07777, err);
        if (rv == 0)
            rv = check_count("tmpfs", t->options_n, OPTIONS_TMPFS_OPTIONS_MAX, err);
        for (size_t k = 0; k < t->options_n && rv == 0; k++)
            rv = check_form("tmpfs", OPTION_TMPFS, t->options[k], err);
        bool twice = rv == 0 && is_mounted(spec, t->target);
        for (size_t k = 0; k < i && rv == 0; k++)
            twice = twice || str_equal(o->tmpfs[k].target, t->target);
        if (twice || (rv == 0 && strcmp(t->target, "/") == 0))
            rv = err_set(err, ERR_INVALID, "tmpfs: %.100s %s", t->target,
                         twice ? "is mounted twice" : "is the container's root");
    }
    return rv;
}

static int check_devices(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    int rv = check_count("devices", o->devices_n, OPTIONS_DEVICES_MAX, err);
    for (size_t i = 0; i < o->devices_n && rv == 0; i++) {
        rv = check_form("devices", OPTION_PATH, o->devices[i].source, err);
        if (rv == 0 && *str_or_empty(o->devices[i].target))
            rv = check_form("devices", OPTION_PATH, o->devices[i].target, err);
        if (rv == 0)
            rv = check_form("devices", OPTION_ACCESS, o->devices[i].access, err);
    }
    return rv;
}

static int check_ulimits(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    int rv = check_count("ulimits", o->ulimits_n, OPTIONS_ULIMITS_MAX, err);
    for (size_t i = 0; i < o->ulimits_n && rv == 0; i++) {
        const struct ulimit_spec *u = &o->ulimits[i];
        rv = check_form("ulimits", OPTION_ULIMIT, u->name, err);
        for (size_t k = 0; k < i && rv == 0; k++)
            if (str_equal(o->ulimits[k].name, u->name))
                rv = err_set(err, ERR_INVALID, "ulimits: %s is given twice", u->name);
        /* -1 is the highest: as an unsigned number, as the kernel has it. */
        if (rv == 0 && (u->soft < -1 || u->hard < -1 || (uint64_t)u->soft > (uint64_t)u->hard))
            rv = err_set(err, ERR_INVALID,
                         "ulimits: %s: %" PRId64 " is more than the hard limit %" PRId64
                         ", or one is below -1",
                         u->name, u->soft, u->hard);
    }
    return rv;
}

static int check_pairs(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    int rv = check_count("sysctls", o->sysctls_n, OPTIONS_SYSCTLS_MAX, err);
    for (size_t i = 0; i < o->sysctls_n && rv == 0; i++) {
        rv = check_form("sysctls", OPTION_SYSCTL, o->sysctls[i].key, err);
        if (rv == 0)
            rv = check_form(o->sysctls[i].key, OPTION_SYSCTL_VALUE, o->sysctls[i].value, err);
    }
    if (rv == 0)
        rv = check_count("annotations", o->annotations_n, OPTIONS_ANNOTATIONS_MAX, err);
    for (size_t i = 0; i < o->annotations_n && rv == 0; i++) {
        rv = check_form("annotations", OPTION_ANNOTATION, o->annotations[i].key, err);
        if (rv == 0 && strlen(str_or_empty(o->annotations[i].value)) > OPTIONS_ANNOTATION_BYTES_MAX)
            rv = err_set(err, ERR_INVALID, "annotations: %.60s is longer than %d bytes",
                         o->annotations[i].key, OPTIONS_ANNOTATION_BYTES_MAX);
    }
    return rv;
}

static int check_blkio(const struct spec *spec, struct err *err)
{
    const struct blkio_spec *b = &spec->options.blkio;
    const struct {
        const char *key;
        const struct io_spec *list;
        size_t n;
        int64_t min;
        int64_t max;
    } lists[] = {
        {"blkio_config.weight_device", b->weights, b->weights_n, OPTIONS_IO_WEIGHT_MIN,
         OPTIONS_IO_WEIGHT_MAX},
        {"blkio_config.device_read_bps", b->read_bps, b->read_bps_n, 1, MEMORY_BYTES_MAX},
        {"blkio_config.device_write_bps", b->write_bps, b->write_bps_n, 1, MEMORY_BYTES_MAX},
        {"blkio_config.device_read_iops", b->read_iops, b->read_iops_n, 1, MEMORY_BYTES_MAX},
        {"blkio_config.device_write_iops", b->write_iops, b->write_iops_n, 1, MEMORY_BYTES_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        int rv = check_count(lists[i].key, lists[i].n, OPTIONS_IO_MAX, err);
        for (size_t k = 0; k < lists[i].n && rv == 0; k++) {
            rv = check_form(lists[i].key, OPTION_PATH, lists[i].list[k].path, err);
            if (rv == 0)
                rv = check_amount(lists[i].key, lists[i].list[k].value, lists[i].min, lists[i].max,
                                  err);
        }
        if (rv < 0)
            return rv;
    }
    return 0;
}

int64_t logging_number(const struct logging_spec *logging, const char *key)
{
    const char *text = str_or_empty(pair_get(logging->options, logging->options_n, key));
    int64_t value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > MEMORY_BYTES_MAX / 10)
            return 0;
        value = value * 10 + (*text - '0');
    }
    return value;
}

static int check_logging(const struct spec *spec, struct err *err)
{
    const struct logging_spec *l = &spec->options.logging;
    if (l->options_n > 0 && str_equal(l->driver, "none"))
        return err_set(err, ERR_INVALID,
                       "logging: driver none keeps nothing, so it has no options");
    for (size_t i = 0; i < l->options_n; i++) {
        const char *key = str_or_empty(l->options[i].key);
        bool size = strcmp(key, "max-size") == 0;
        if (!size && strcmp(key, "max-file") != 0)
            return err_set(err, ERR_INVALID,
                           "logging: \"%.60s\" is no option of a log; max-size and max-file are",
                           key);
        for (size_t k = 0; k < i; k++)
            if (str_equal(l->options[k].key, key))
                return err_set(err, ERR_INVALID, "logging: %s is given twice", key);
        int rv = check_amount(size ? "logging: max-size" : "logging: max-file",
                              logging_number(l, key), size ? OPTIONS_LOG_BYTES_MIN : 1,
                              size ? MEMORY_BYTES_MAX : OPTIONS_LOG_FILES_MAX, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int check_seccomp(const struct spec *spec, struct err *err)
{
    const char *profile = str_or_empty(spec->options.seccomp);
    if (*profile == '\0' || strcmp(profile, "unconfined") == 0)
        return 0;
    if (*profile == '{' && strlen(profile) <= OPTIONS_SECCOMP_BYTES_MAX)
        return 0;
    return err_set(err, ERR_INVALID,
                   "security_opt.seccomp: not \"unconfined\" and no profile of up to %d KiB",
                   OPTIONS_SECCOMP_BYTES_MAX / 1024);
}

static int check_binds(const struct spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct mount_spec *m = &spec->mounts[i];
        const char *propagation = str_or_empty(m->propagation);
        if (m->kind != MOUNT_BIND && (*propagation || m->create_source))
            return err_set(err, ERR_INVALID, "volumes: %.100s is no bind mount, but has bind:",
                           str_or_empty(m->target));
        int rv = *propagation ? check_form("volumes", OPTION_PROPAGATION, propagation, err) : 0;
        if (rv < 0)
            return rv;
    }
    return 0;
}

/* --- what excludes each other -------------------------------------------------------------- */

/* A sysctl of a namespace that is the host's would be the machine's own setting. */
static int check_sysctls(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    for (size_t i = 0; i < o->sysctls_n; i++) {
        const char *key = o->sysctls[i].key;
        const char *host = NULL;
        if (str_starts(key, "net."))
            host = o->network_host ? "network_mode: host" : NULL;
        else
            host = str_equal(o->ipc, "host") ? "ipc: host" : NULL;
        if (host)
            return err_set(err, ERR_INVALID, "sysctls: with %s, %s is the machine's own setting",
                           host, key);
    }
    return 0;
}

static int check_namespaces(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    bool uts = str_equal(o->uts, "host");
    if (uts && (*str_or_empty(spec->hostname) || *str_or_empty(o->domainname)))
        return err_set(err, ERR_INVALID,
                       "uts: with the machine's names a container has no "
                       "hostname or domainname of its own");
    if (o->network_host && spec->networks_n > 0)
        return err_set(err, ERR_INVALID, "network_mode: host and networks exclude each other");
    if (o->network_host && spec->ports_n > 0)
        return err_set(err, ERR_INVALID,
                       "ports: with network_mode host the program's ports are "
                       "its machine's anyway; leave ports: out");
    if (o->network_host && o->dns_n == 0 && o->dns_search_n + o->dns_opt_n > 0)
        return err_set(err, ERR_INVALID,
                       "dns_search, dns_opt: with network_mode host the machine's "
                       "resolv.conf is used as it is, unless dns: is given too");
    if (strlen(str_or_empty(o->domainname)) > DOMAINNAME_BYTES_MAX || str_equal(o->domainname, "."))
        return err_set(err, ERR_INVALID, "domainname: not a domain of up to %d bytes",
                       DOMAINNAME_BYTES_MAX);
    if (!str_equal(o->userns, "auto"))
        return 0;
    const char *other = o->privileged               ? "privileged"
                        : str_equal(o->pid, "host") ? "pid: host"
                        : str_equal(o->ipc, "host") ? "ipc: host"
                        : uts                       ? "uts: host"
                        : o->network_host           ? "network_mode: host"
                        : o->devices_n > 0          ? "devices"
                                                    : NULL;
    return other ? err_set(err, ERR_INVALID, "userns_mode: auto and %s exclude each other", other)
                 : 0;
}

/* What belongs to the network of another service's task is said there. */
static int check_network_of(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    if (!*str_or_empty(spec->network_of))
        return 0;
    const char *other = spec->networks_n > 0     ? "networks"
                        : o->network_host        ? "network_mode: host"
                        : spec->ports_n > 0      ? "ports"
                        : o->dns_n > 0           ? "dns"
                        : spec->single           ? "x-wherry: single"
                        : spec->max_per_node > 0 ? "max_replicas_per_node"
                                                 : NULL;
    for (size_t i = 0; i < o->sysctls_n && !other; i++)
        if (str_starts(o->sysctls[i].key, "net."))
            other = "sysctls of net.";
    if (other)
        return err_set(err, ERR_INVALID,
                       "network_mode: service:%.63s and %s exclude each other: give it to %.63s",
                       spec->network_of, other, spec->network_of);
    if (mode_is_job(spec->mode))
        return err_set(err, ERR_INVALID,
                       "network_mode: service:%.63s is not for jobs: let it be in a network",
                       spec->network_of);
    return 0;
}

static int check_together(const struct spec *spec, struct err *err)
{
    const struct container_options *o = &spec->options;
    if (o->memswap_bytes != 0 && spec->limits.memory_bytes == 0)
        return err_set(err, ERR_INVALID,
                       "memswap_limit: is memory and swap together, so it takes "
                       "a limit of memory too: mem_limit");
    if (o->memswap_bytes > 0 && o->memswap_bytes < spec->limits.memory_bytes)
        return err_set(err, ERR_INVALID,
                       "memswap_limit: is memory and swap together, so not less than mem_limit");
    if (o->privileged && *str_or_empty(o->seccomp) == '{')
        return err_set(err, ERR_INVALID,
                       "security_opt: a privileged container has no seccomp profile");
    return 0;
}

int options_validate(const struct spec *spec, struct err *err)
{
    int (*const checks[])(const struct spec *, struct err *) = {
        check_texts,   check_choices, check_amounts,    check_tmpfs,      check_devices,
        check_ulimits, check_pairs,   check_blkio,      check_logging,    check_seccomp,
        check_binds,   check_sysctls, check_namespaces, check_network_of, check_together,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        int rv = checks[i](spec, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static bool is_volume_key(const char *key, int level)
{
    static const char *const keys[] = {"type", "device", "o"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return level >= 7 && strcmp(key, "size") == 0;
}

int64_t volume_size(const struct pair *options, size_t n)
{
    enum {
        SIZE_MIN = 1 << 20,
    };
    const char *text = str_or_empty(pair_get(options, n, "size"));
    char *end = NULL;
    errno = 0;
    long long bytes = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : 0;
    return errno == 0 && end && *end == '\0' && bytes >= SIZE_MIN ? bytes : 0;
}

int volume_options_check(const struct pair *options, size_t n, int level, struct err *err)
{
    enum {
        VALUE_MAX = 1024,
    };
    for (size_t i = 0; i < n; i++) {
        const char *key = str_or_empty(options[i].key), *value = str_or_empty(options[i].value);
        if (!is_volume_key(key, level))
            return err_set(err, ERR_INVALID, "driver_opts: '%.40s' is none of type, device%s", key,
                           level < 7 ? " and o" : ", o and size");
        for (size_t k = 0; k < i; k++)
            if (str_equal(options[k].key, key))
                return err_set(err, ERR_INVALID, "driver_opts: %s is given twice", key);
        bool plain = strlen(value) <= VALUE_MAX;
        for (const char *c = value; *c && plain; c++)
            plain = (unsigned char)*c >= ' ' && *c != 0x7f;
        if (!plain)
            return err_set(err, ERR_INVALID, "driver_opts: %s is longer than %d bytes or not plain",
                           key, VALUE_MAX);
    }
    const char *type = pair_get(options, n, "type"), *device = pair_get(options, n, "device");
    const char *o = pair_get(options, n, "o");
    if (pair_get(options, n, "size") && volume_size(options, n) == 0)
        return err_set(err, ERR_INVALID, "driver_opts: size is a number of bytes, from 1 MiB on");
    if (pair_get(options, n, "size") && type)
        return err_set(err, ERR_INVALID,
                       "driver_opts: size limits a folder of the machine, not what is mounted; a "
                       "tmpfs has it in o: size=64m");
    if ((device || o) && !type)
        return err_set(err, ERR_INVALID, "driver_opts: %s without a type", device ? "device" : "o");
    if (type && strcmp(type, "tmpfs") != 0 && !*str_or_empty(device))
        return err_set(err, ERR_INVALID, "driver_opts: type %.40s needs a device", type);
    return 0;
}
