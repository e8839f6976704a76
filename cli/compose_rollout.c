/* SPDX-License-Identifier: Apache-2.0 */
/* deploy.update_config and deploy.rollback_config (Compose Deploy Specification). */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

static void read_parallelism(struct reader *r, const struct yaml *value, void *object)
{
    struct update_policy *policy = object;
    if (compose_read_number(r, value, 0, COMPOSE_REPLICAS_MAX, &policy->parallelism) &&
        policy->parallelism == 0)
        policy->parallelism = COMPOSE_REPLICAS_MAX; /* 0 is "all at once" in a file */
}

static void read_delay(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &((struct update_policy *)object)->delay_ms);
}

static void read_monitor(struct reader *r, const struct yaml *value, void *object)
{
    struct update_policy *policy = object;
    if (compose_read_duration(r, value, &policy->monitor_ms) && policy->monitor_ms == 0)
        policy->monitor_ms = 1; /* 0 is "not at all" in a file */
}

static void read_ratio(struct reader *r, const struct yaml *value, void *object)
{
    int64_t permille;
    if (!compose_read_milli(r, value, &permille))
        return;
    if (permille > 1000)
        compose_error(r, value, "must be a ratio, 0 to 1, such as 0.25");
    else
        ((struct update_policy *)object)->max_failure_permille = permille;
}

static void read_order(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"stop-first", "start-first", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        ((struct update_policy *)object)->order = (enum update_order)i;
}

static void read_failure(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"pause", "continue", "rollback", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        ((struct update_policy *)object)->failure = (enum update_failure)i;
}

static void read_failure_of_rollback(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"pause", "continue", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        ((struct update_policy *)object)->failure = (enum update_failure)i;
}

/* clang-format off */
#define COMMON_KEYS                                                                                \
    {"parallelism", KEY_READ, read_parallelism, NULL},                                             \
    {"delay", KEY_READ, read_delay, NULL},                                                         \
    {"monitor", KEY_READ, read_monitor, NULL},                                                     \
    {"max_failure_ratio", KEY_READ, read_ratio, NULL},                                             \
    {"order", KEY_READ, read_order, NULL}
/* clang-format on */

static const struct compose_key update_keys[] = {
    COMMON_KEYS,
    {"failure_action", KEY_READ, read_failure, NULL},
};

static const struct compose_key rollback_keys[] = {
    COMMON_KEYS,
    {"failure_action", KEY_READ, read_failure_of_rollback, NULL},
};

void compose_read_update(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    compose_section(r, value, update_keys, ARRAY_SIZE(update_keys), &draft->service->spec.update);
}

void compose_read_rollback(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    compose_section(r, value, rollback_keys, ARRAY_SIZE(rollback_keys),
                    &draft->service->spec.rollback);
}
