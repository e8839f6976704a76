/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/bundle_parts.h"
#include "runtime/container.h"
#include "runtime/device.h"
#include "runtime/machine.h"

#include <string.h>

enum {
    PIDS_DEFAULT = 4096,
    CPU_PERIOD_US = 100000,
};

static void add_rule(json_t *rules, char type, int64_t major, int64_t minor, const char *access)
{
    char text[2] = {type, '\0'};
    json_t *rule = json_pack("{s:b, s:s, s:s}", "allow", 1, "type", text, "access", access);
    if (major >= 0)
        json_object_set_new(rule, "major", json_integer(major));
    if (minor >= 0)
        json_object_set_new(rule, "minor", json_integer(minor));
    json_array_append_new(rules, rule);
}

/* Nothing, but what every container has (the OCI runtime adds that) and what is asked for. */
static json_t *rules_json(const struct bundle *b)
{
    if (b->spec->privileged)
        return json_pack("[{s:b, s:s}]", "allow", 1, "access", "rwm");
    json_t *rules = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");
    for (size_t i = 0; b->devices && i < b->devices->n; i++) {
        const struct device *d = &b->devices->devices[i];
        add_rule(rules, d->type, d->major, d->minor, d->access);
    }
    for (const char *const *r = b->spec->device_rules; r && *r; r++) {
        struct device_rule rule;
        if (device_rule_parse(*r, &rule))
            add_rule(rules, rule.type, rule.major, rule.minor, rule.access);
    }
    return rules;
}

static json_t *memory_json(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *memory = json_object();
    if (spec->memory_bytes > 0)
        json_object_set_new(memory, "limit", json_integer(spec->memory_bytes));
    /* Memory and swap together: no swap unless it is asked for. */
    if (spec->memory_bytes > 0 && b->machine->has_swap)
        json_object_set_new(
            memory, "swap",
            json_integer(spec->memswap_bytes ? spec->memswap_bytes : spec->memory_bytes));
    if (spec->reserved_bytes > 0)
        json_object_set_new(memory, "reservation", json_integer(spec->reserved_bytes));
    if (spec->swappiness_set > 0)
        json_object_set_new(memory, "swappiness", json_integer(spec->swappiness_set - 1));
    if (spec->oom_kill_disable)
        json_object_set_new(memory, "disableOOMKiller", json_true());
    return memory;
}

static json_t *cpu_json(const struct bundle *b)
{
    const struct container_spec *spec = b->spec;
    json_t *cpu = json_object();
    if (spec->cpu_milli > 0) {
        json_object_set_new(cpu, "quota", json_integer(spec->cpu_milli * (CPU_PERIOD_US / 1000)));
        json_object_set_new(cpu, "period", json_integer(CPU_PERIOD_US));
    }
    if (spec->cpu_shares > 0)
        json_object_set_new(cpu, "shares", json_integer(spec->cpu_shares));
    if (spec->cpuset)
        json_object_set_new(cpu, "cpus", json_string(spec->cpuset));
    return cpu;
}

static json_t *io_json(const struct bundle *b)
{
    static const struct {
        const char *list;
        const char *value;
    } names[] = {
        [CONTAINER_IO_WEIGHT] = {"weightDevice", "weight"},
        [CONTAINER_IO_READ_BPS] = {"throttleReadBpsDevice", "rate"},
        [CONTAINER_IO_WRITE_BPS] = {"throttleWriteBpsDevice", "rate"},
        [CONTAINER_IO_READ_IOPS] = {"throttleReadIOPSDevice", "rate"},
        [CONTAINER_IO_WRITE_IOPS] = {"throttleWriteIOPSDevice", "rate"},
    };
    const struct container_spec *spec = b->spec;
    json_t *io = json_object();
    if (spec->io_weight > 0)
        json_object_set_new(io, "weight", json_integer(spec->io_weight));
    for (size_t i = 0; i < spec->io_n && b->devices; i++) {
        const struct device *d = &b->devices->io[i];
        const char *list = names[spec->io[i].kind].list;
        json_t *array = json_object_get(io, list);
        if (!array) {
            array = json_array();
            json_object_set_new(io, list, array);
        }
        json_array_append_new(array, json_pack("{s:i, s:i, s:I}", "major", (int)d->major, "minor",
                                               (int)d->minor, names[spec->io[i].kind].value,
                                               (json_int_t)spec->io[i].value));
    }
    return io;
}

static void set_unless_empty(json_t *resources, const char *name, json_t *part)
{
    if (json_object_size(part) > 0)
        json_object_set(resources, name, part);
    json_decref(part);
}

json_t *bundle_resources(const struct bundle *b)
{
    json_t *resources = json_pack("{s:o}", "devices", rules_json(b));
    if (!resources)
        return NULL;
    set_unless_empty(resources, "memory", memory_json(b));
    set_unless_empty(resources, "cpu", cpu_json(b));
    set_unless_empty(resources, "blockIO", io_json(b));
    if (b->machine->has_pids) {
        int64_t most = b->spec->pids_max > 0 ? b->spec->pids_max : PIDS_DEFAULT;
        json_object_set_new(resources, "pids", json_pack("{s:I}", "limit", (json_int_t)most));
    }
    return resources;
}
