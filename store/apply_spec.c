/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a user asks for something that can run? Checked once more where it becomes state. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum {
    IMAGE_BYTES_MAX = 1024,
    COUNT_MAX = 1 << 22, /* as many processes as Linux has */
};

static int check_ports(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->ports_n; i++) {
        const struct port_spec *port = &spec->ports[i];
        if (port->published < 1 || port->published > 65535 || port->target < 1 ||
            port->target > 65535)
            return err_set(err, ERR_INVALID,
                           "%s: port %" PRId64 ":%" PRId64 " is not within 1 to 65535", object,
                           port->published, port->target);
        for (size_t k = 0; k < i; k++)
            if (spec->ports[k].published == port->published &&
                spec->ports[k].protocol == port->protocol)
                return err_set(err, ERR_INVALID, "%s: port %" PRId64 "/%s is published twice",
                               object, port->published, protocol_names[port->protocol]);
    }
    return 0;
}

static bool is_absolute(const char *path)
{
    return path && path[0] == '/';
}

static int check_mounts(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct mount_spec *mount = &spec->mounts[i];
        const char *target = str_or_empty(mount->target);
        if (!is_absolute(target) || target[1] == '\0')
            return err_set(err, ERR_INVALID,
                           "%s: mount target \"%.100s\" is not an absolute path below /", object,
                           target);
        if (mount->kind == MOUNT_BIND && !is_absolute(mount->source))
            return err_set(err, ERR_INVALID,
                           "%s: bind mount source \"%.100s\" is not an absolute path", object,
                           str_or_empty(mount->source));
        for (size_t k = 0; k < i; k++)
            if (str_equal(spec->mounts[k].target, target))
                return err_set(err, ERR_INVALID, "%s: two mounts at %.100s", object, target);
    }
    return 0;
}

static int check_networks(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->networks_n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_equal(spec->networks[k].network, spec->networks[i].network))
                return err_set(err, ERR_INVALID, "%s: network %s is given twice", object,
                               str_or_empty(spec->networks[i].network));
    return 0;
}

static int check_constraints(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->constraints_n; i++) {
        const char *key = str_or_empty(spec->constraints[i].key);
        bool label = str_starts(key, "node.labels.") && key[strlen("node.labels.")] != '\0';
        if (!label && strcmp(key, "node.id") != 0 && strcmp(key, "node.hostname") != 0)
            return err_set(err, ERR_INVALID,
                           "%s: constraint on \"%.80s\": only node.id, node.hostname and "
                           "node.labels.KEY are known",
                           object, key);
    }
    return 0;
}

static int check_strings(const struct spec *spec, const char *object, struct err *err)
{
    size_t image_len = strlen(str_or_empty(spec->image));
    if (image_len == 0)
        return err_set(err, ERR_INVALID, "%s: has no image", object);
    if (image_len > IMAGE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s: its image's name is longer than %d bytes", object,
                       IMAGE_BYTES_MAX);
    for (size_t i = 0; i < spec->environment_n; i++) {
        const char *pair = str_or_empty(spec->environment[i]);
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return err_set(err, ERR_INVALID, "%s: environment \"%.80s\" is not NAME=VALUE", object,
                           pair);
    }
    return 0;
}

/* No number is so large that a sum of a few, or with a time, overflows. */
static int check_numbers(const struct spec *spec, const char *object, struct err *err)
{
    const struct {
        const char *name;
        int64_t value;
        int64_t max;
    } numbers[] = {
        {"replicas", spec->replicas, REPLICAS_MAX},
        {"stop_grace_period", spec->stop_grace_ms, DURATION_MS_MAX},
        {"restart_policy.delay", spec->restart.delay_ms, DURATION_MS_MAX},
        {"restart_policy.max_attempts", spec->restart.max_attempts, COUNT_MAX},
        {"restart_policy.window", spec->restart.window_ms, DURATION_MS_MAX},
        {"healthcheck.interval", spec->health.interval_ms, DURATION_MS_MAX},
        {"healthcheck.timeout", spec->health.timeout_ms, DURATION_MS_MAX},
        {"healthcheck.retries", spec->health.retries, COUNT_MAX},
        {"healthcheck.start_period", spec->health.start_period_ms, DURATION_MS_MAX},
        {"placement.max_replicas_per_node", spec->max_per_node, COUNT_MAX},
        {"reservations.cpus (thousandths)", spec->reservations.cpu_milli, CPU_MILLI_MAX},
        {"reservations.memory", spec->reservations.memory_bytes, MEMORY_BYTES_MAX},
        {"reservations.pids", spec->reservations.pids, COUNT_MAX},
        {"limits.cpus (thousandths)", spec->limits.cpu_milli, CPU_MILLI_MAX},
        {"limits.memory", spec->limits.memory_bytes, MEMORY_BYTES_MAX},
        {"limits.pids", spec->limits.pids, COUNT_MAX},
        {"update_config.parallelism", spec->update.parallelism, COUNT_MAX},
        {"update_config.delay", spec->update.delay_ms, DURATION_MS_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (numbers[i].value < 0 || numbers[i].value > numbers[i].max)
            return err_set(err, ERR_INVALID, "%s: %s is %" PRId64 ", not within 0 to %" PRId64,
                           object, numbers[i].name, numbers[i].value, numbers[i].max);
    return 0;
}

int spec_validate(const struct spec *spec, const char *object, struct err *err)
{
    int (*const checks[])(const struct spec *, const char *, struct err *) = {
        check_strings, check_numbers, check_ports, check_mounts, check_networks, check_constraints,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        int rv = checks[i](spec, object, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

bool spec_runs_same(const struct spec *a, const struct spec *b)
{
    struct spec shallow = *a; /* borrows from @a: only read */
    shallow.replicas = b->replicas;
    return record_equal(&spec_type, &shallow, b);
}
