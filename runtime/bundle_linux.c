/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/bundle_parts.h"
#include "runtime/container.h"
#include "runtime/device.h"
#include "runtime/idmap.h"
#include "runtime/machine.h"

#include <string.h>

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

/* The host's own sysfs is what is seen there. */
static const char *const masked_userns[] = {"/sys/class/net", "/sys/devices/virtual/net",
                                            "/sys/kernel/debug", "/sys/kernel/tracing"};

static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger"};

static void add_space(json_t *spaces, const char *type, const char *path)
{
    json_t *space = json_pack("{s:s}", "type", type);
    if (path)
        json_object_set_new(space, "path", json_string(path));
    json_array_append_new(spaces, space);
}

static json_t *namespaces_json(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *spaces = json_array();
    if (!spec->pid_host)
        add_space(spaces, "pid", NULL);
    add_space(spaces, "mount", NULL);
    if (spec->userns)
        add_space(spaces, "user", NULL);
    if (!spec->ipc_host)
        add_space(spaces, "ipc", NULL);
    if (!spec->uts_host)
        add_space(spaces, "uts", NULL);
    if (spec->netns)
        add_space(spaces, "network", spec->netns);
    if (b->machine->cgroup_v2 && !spec->cgroupns_host)
        add_space(spaces, "cgroup", NULL);
    return spaces;
}

static bool is_first(const struct device_set *set, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (strcmp(set->devices[before].path, set->devices[i].path) == 0)
            return false;
    }
    return true;
}

/* The files; whether they can be used is in the control group's rules. */
static json_t *devices_json(const struct device_set *set)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < set->n; i++) {
        const struct device *d = &set->devices[i];
        char type[2] = {d->type, '\0'};
        if (!is_first(set, i))
            continue;
        json_array_append_new(
            devices, json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:I}", "path", d->path, "type", type,
                               "major", (int)d->major, "minor", (int)d->minor, "fileMode",
                               (int)d->mode, "uid", (json_int_t)d->uid, "gid", (json_int_t)d->gid));
    }
    return devices;
}

static json_t *sysctls_json(const struct container_spec *spec)
{
    json_t *object = json_object();
    for (const char *const *s = spec->sysctls; s && *s; s++) {
        size_t key = strcspn(*s, "=");
        cleanup_free char *name = str_printf("%.*s", (int)key, *s);
        /* Its root has no power over the network namespace: userns_set_network() does it. */
        if (!spec->userns || !str_starts(name, "net."))
            json_object_set_new(object, name, json_string(*s + key + 1));
    }
    /* The specification has no field for it before 1.1. */
    if (spec->domainname)
        json_object_set_new(object, "kernel.domainname", json_string(spec->domainname));
    return object;
}

/* The root's mounts must not be private where one of a spec's is to pass mounts on. */
static const char *propagation(const struct container_spec *spec)
{
    const char *way = NULL;
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const char *p = str_or_empty(spec->mounts[i].propagation);
        if (strcmp(p, "shared") == 0 || strcmp(p, "rshared") == 0)
            return "rshared";
        if (strcmp(p, "slave") == 0 || strcmp(p, "rslave") == 0)
            way = "rslave";
    }
    return way;
}

static json_t *mapping_json(const struct bundle *b)
{
    return json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID", (json_int_t)b->userns_base,
                     "size", (int)IDMAP_SIZE);
}

json_t *bundle_linux(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *part = json_pack("{s:s, s:o, s:o}", "cgroupsPath", b->cgroup, "namespaces",
                             namespaces_json(b), "resources", bundle_resources(b));
    if (!part)
        return NULL;
    if (!spec->privileged) {
        json_t *hidden = bundle_strings(masked, ARRAY_SIZE(masked));
        for (size_t i = 0; spec->userns && i < ARRAY_SIZE(masked_userns); i++)
            json_array_append_new(hidden, json_string(masked_userns[i]));
        json_object_set_new(part, "maskedPaths", hidden);
        json_object_set_new(part, "readonlyPaths",
                            bundle_strings(read_only, ARRAY_SIZE(read_only)));
    }
    if (spec->userns) {
        json_object_set_new(part, "uidMappings", mapping_json(b));
        json_object_set_new(part, "gidMappings", mapping_json(b));
    }
    if (b->devices && b->devices->n > 0)
        json_object_set_new(part, "devices", devices_json(b->devices));
    if (spec->sysctls || spec->domainname)
        json_object_set_new(part, "sysctl", sysctls_json(spec));
    if (propagation(spec))
        json_object_set_new(part, "rootfsPropagation", json_string(propagation(spec)));
    if (b->seccomp)
        json_object_set(part, "seccomp", b->seccomp);
    return part;
}
