/* SPDX-License-Identifier: Apache-2.0 */
/* What a service says under x-wherry, which the Compose format has no key for. */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct spec *spec_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec;
}

static void read_failover(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "never") == 0)
        spec_of(object)->failover_ms = -1;
    else if (text)
        compose_read_duration(r, value, &spec_of(object)->failover_ms);
}

static void read_drain(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_duration(r, value, &spec_of(object)->drain_ms) &&
        spec_of(object)->drain_ms == 0)
        spec_of(object)->drain_ms = -1;
}

static void read_deadline(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_duration(r, value, &spec_of(object)->rollout_deadline_ms) &&
        spec_of(object)->rollout_deadline_ms < 1000)
        compose_error(r, value, "must be at least 1s");
}

static void read_rebalance(struct reader *r, const struct yaml *value, void *object)
{
    bool rebalance = true;
    if (compose_read_bool(r, value, &rebalance))
        spec_of(object)->no_rebalance = !rebalance;
}

static void read_lease(struct reader *r, const struct yaml *value, void *object)
{
    int64_t *lease_ms = &((struct spec *)object)->lease_ms;
    if (compose_read_duration(r, value, lease_ms) &&
        (*lease_ms < LEASE_MIN_MS || *lease_ms > LEASE_MAX_MS))
        compose_error(r, value, "must be from %ds to %ds", LEASE_MIN_MS / 1000,
                      LEASE_MAX_MS / 1000);
}

static const struct compose_key single_keys[] = {
    {"lease", KEY_READ, read_lease, NULL},
};

/* true, or a mapping. */
static void read_single(struct reader *r, const struct yaml *value, void *object)
{
    struct spec *spec = spec_of(object);
    spec->single = true;
    if (value->kind == YAML_MAP)
        compose_section(r, value, single_keys, ARRAY_SIZE(single_keys), spec);
    else
        compose_read_bool(r, value, &spec->single);
}

/* Those that programs take for "look again". */
static bool is_reload_signal(const char *name)
{
    static const char *const names[] = {"HUP", "USR1", "USR2", "WINCH", "CONT", "INT", "TERM"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* "signal HUP", or "restart". */
static void read_on_change(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    char **signal = &spec_of(object)->on_change;
    if (!text || strcmp(text, "restart") == 0)
        return;
    const char *name = str_starts(text, "signal ") ? text + strlen("signal ") : "";
    name += str_starts(name, "SIG") ? strlen("SIG") : 0;
    if (is_reload_signal(name)) {
        free(*signal);
        *signal = str_copy(name);
    } else {
        compose_error(r, value, "'%.64s' must be restart, or a signal such as 'signal HUP'", text);
    }
}

static const struct compose_key keys[] = {
    {"failover", KEY_READ, read_failover, NULL},
    {"drain", KEY_READ, read_drain, NULL},
    {"rollout-deadline", KEY_READ, read_deadline, NULL},
    {"rebalance", KEY_READ, read_rebalance, NULL},
    {"single", KEY_READ, read_single, NULL},
    {"on-change", KEY_READ, read_on_change, NULL},
    {"probe", KEY_READ, compose_read_probe, NULL},
    {"on-unhealthy", KEY_READ, compose_read_unhealthy, NULL},
    {"schedule", KEY_READ, compose_read_schedule, NULL},
    {"time-zone", KEY_READ, compose_read_time_zone, NULL},
    {"concurrency", KEY_READ, compose_read_concurrency, NULL},
    {"catch-up", KEY_READ, compose_read_catch_up, NULL},
    {"history", KEY_READ, compose_read_history, NULL},
    {"deadline", KEY_READ, compose_read_job_deadline, NULL},
    {"parallelism", KEY_READ, compose_read_job_parallelism, NULL},
};

void compose_read_wherry(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, keys, ARRAY_SIZE(keys), object);
}
