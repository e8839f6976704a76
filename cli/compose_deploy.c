/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONSTRAINTS_MAX = 64,
    ATTEMPTS_MAX = 1000000,
    PIDS_MAX = 1 << 22, /* what Linux can count at most */
};

static struct compose_draft *draft_of(void *object)
{
    return object;
}

static struct spec *spec_of(void *object)
{
    return &draft_of(object)->service->spec;
}

/* --- restart ------------------------------------------------------------------------------- */

void compose_read_restart(struct reader *r, const struct yaml *value, void *object)
{
    struct restart_policy *policy = &spec_of(object)->restart;
    if (value->kind == YAML_NULL)
        return;
    draft_of(object)->restart = value;
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0) {
        policy->condition = RESTART_NONE;
    } else if (strcmp(text, "always") == 0 || strcmp(text, "unless-stopped") == 0) {
        policy->condition = RESTART_ANY;
    } else if (strcmp(text, "on-failure") == 0) {
        policy->condition = RESTART_ON_FAILURE;
    } else if (str_starts(text, "on-failure:") &&
               compose_number(text + strlen("on-failure:"), 1, ATTEMPTS_MAX,
                              &policy->max_attempts)) {
        policy->condition = RESTART_ON_FAILURE;
    } else {
        compose_error(r, value,
                      "'%.64s' must be \"no\", always, on-failure, on-failure:N or unless-stopped",
                      text);
    }
}

static void read_condition(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"any", "on-failure", "none", NULL};
    int i = compose_read_choice(r, value, names);
    if (i >= 0)
        draft_of(object)->policy.condition = (enum restart_condition)i;
}

static void read_restart_delay(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &draft_of(object)->policy.delay_ms);
}

static void read_max_attempts(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 0, ATTEMPTS_MAX, &draft_of(object)->policy.max_attempts);
}

static void read_window(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_duration(r, value, &draft_of(object)->policy.window_ms);
}

static const struct compose_key restart_keys[] = {
    {"condition", KEY_READ, read_condition, NULL},
    {"delay", KEY_READ, read_restart_delay, NULL},
    {"max_attempts", KEY_READ, read_max_attempts, NULL},
    {"window", KEY_READ, read_window, NULL},
};

static void read_restart_policy(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind != YAML_NULL)
        draft_of(object)->restart_policy = value;
    compose_section(r, value, restart_keys, ARRAY_SIZE(restart_keys), object);
}

/* --- resources ----------------------------------------------------------------------------- */

static void read_cpus(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_milli(r, value, &((struct resources *)object)->cpu_milli);
}

static void read_memory(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_size(r, value, &((struct resources *)object)->memory_bytes);
}

static void read_pids(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, PIDS_MAX, &((struct resources *)object)->pids);
}

static const struct compose_key limit_keys[] = {
    {"cpus", KEY_READ, read_cpus, NULL},
    {"memory", KEY_READ, read_memory, NULL},
    {"pids", KEY_READ, read_pids, NULL},
};

/* @object is spec.reservations. */
static void read_generic(struct reader *r, const struct yaml *value, void *object)
{
    char *spec = (char *)object - offsetof(struct spec, reservations);
    compose_read_generic(r, value, (struct spec *)(void *)spec);
}

static const struct compose_key reservation_keys[] = {
    {"cpus", KEY_READ, read_cpus, NULL},
    {"memory", KEY_READ, read_memory, NULL},
    {"generic_resources", KEY_READ, read_generic, NULL},
    {"devices", KEY_LATER, NULL, "reserve a count by generic_resources, and name the devices"},
};

static void read_limits(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, limit_keys, ARRAY_SIZE(limit_keys), &spec_of(object)->limits);
}

static void read_reservations(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, reservation_keys, ARRAY_SIZE(reservation_keys),
                    &spec_of(object)->reservations);
}

static const struct compose_key resource_keys[] = {
    {"limits", KEY_READ, read_limits, NULL},
    {"reservations", KEY_READ, read_reservations, NULL},
};

static void read_resources(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, resource_keys, ARRAY_SIZE(resource_keys), object);
}

void compose_read_mem_limit(struct reader *r, const struct yaml *value, void *object)
{
    draft_of(object)->plain_at = value;
    read_memory(r, value, &draft_of(object)->plain_limits);
}

void compose_read_mem_reservation(struct reader *r, const struct yaml *value, void *object)
{
    draft_of(object)->plain_at = value;
    read_memory(r, value, &draft_of(object)->plain_reservations);
}

void compose_read_cpus(struct reader *r, const struct yaml *value, void *object)
{
    draft_of(object)->plain_at = value;
    read_cpus(r, value, &draft_of(object)->plain_limits);
}

void compose_read_pids_limit(struct reader *r, const struct yaml *value, void *object)
{
    draft_of(object)->plain_at = value;
    read_pids(r, value, &draft_of(object)->plain_limits);
}

/* --- placement ----------------------------------------------------------------------------- */

static char *trimmed(const char *s, size_t len)
{
    while (len > 0 && (*s == ' ' || *s == '\t'))
        s++, len--;
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    return str_printf("%.*s", (int)len, s);
}

/* Swarm's roles: every member that runs tasks takes any call, as only its managers do. */
static void check_role(struct reader *r, const struct yaml *at, const char *role, bool negated)
{
    bool manager = strcmp(role, "manager") == 0;
    if (!manager && strcmp(role, "worker") != 0)
        compose_error(r, at, "'%.64s' must be manager or worker", role);
    else if (manager == negated)
        compose_error(r, at,
                      "every member of Wherry is a manager, so no node would do; give nodes labels "
                      "(wherry node --label) and ask for node.labels.KEY");
    else
        compose_warn(r, at, "every member of Wherry is a manager: this holds for all");
}

static void read_constraint(struct reader *r, const struct yaml *value, struct spec *spec)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    const char *equal = strstr(text, "=="), *differ = strstr(text, "!=");
    bool negated = differ && (!equal || differ < equal);
    const char *at = negated ? differ : equal;
    cleanup_free char *key = at ? trimmed(text, (size_t)(at - text)) : NULL;
    cleanup_free char *wanted = at ? trimmed(at + 2, strlen(at + 2)) : NULL;
    if (!key || !wanted || !*key || !*wanted) {
        compose_error(r, value,
                      "'%.100s' must be such as \"node.labels.zone == a\" or with !=", text);
        return;
    }
    if (strcmp(key, "node.role") == 0) {
        check_role(r, value, wanted, negated);
        return;
    }
    if (strcmp(key, "node.id") != 0 && strcmp(key, "node.hostname") != 0 &&
        strcmp(key, "node.platform.os") != 0 && strcmp(key, "node.platform.arch") != 0 &&
        !(str_starts(key, "node.labels.") && key[strlen("node.labels.")])) {
        compose_error(r, value,
                      "'%.64s' is not supported yet; node.labels.KEY, node.hostname (the node's "
                      "name), node.id, node.platform.os and node.platform.arch are",
                      key);
        return;
    }
    spec->constraints =
        mem_resize(spec->constraints, spec->constraints_n + 1, sizeof(*spec->constraints));
    spec->constraints[spec->constraints_n++] =
        (struct constraint){.key = steal(&key), .negated = negated, .value = steal(&wanted)};
}

static void read_constraints(struct reader *r, const struct yaml *value, void *object)
{
    if (!compose_is_list(r, value, "a list of constraints"))
        return;
    if (value->n > CONSTRAINTS_MAX) {
        compose_error(r, value, "more than %d constraints", CONSTRAINTS_MAX);
        return;
    }
    for (size_t i = 0; i < value->n; i++)
        read_constraint(r, value->items[i], spec_of(object));
}

static void read_spread(struct reader *r, const struct yaml *value, void *object)
{
    struct spec *spec = spec_of(object);
    char *text = compose_text(r, value);
    if (!text)
        return;
    if (!str_starts(text, "node.labels.") || !label_key_is_valid(text + strlen("node.labels."))) {
        compose_error(r, value, "'%.64s' is no label of nodes: node.labels.KEY is", text);
        free(text);
        return;
    }
    spec->spread = mem_resize(spec->spread, spec->spread_n + 1, sizeof(char *));
    spec->spread[spec->spread_n++] = text;
}

static const struct compose_key preference_keys[] = {
    {"spread", KEY_READ, read_spread, NULL},
};

static void read_preferences(struct reader *r, const struct yaml *value, void *object)
{
    if (!compose_is_list(r, value, "a list of preferences"))
        return;
    if (value->n > SPREAD_MAX) {
        compose_error(r, value, "more than %d preferences", SPREAD_MAX);
        return;
    }
    for (size_t i = 0; i < value->n; i++)
        compose_section(r, value->items[i], preference_keys, ARRAY_SIZE(preference_keys), object);
}

static void read_max_per_node(struct reader *r, const struct yaml *value, void *object)
{
    draft_of(object)->max_per_node = value;
    compose_read_number(r, value, 0, COMPOSE_REPLICAS_MAX, &spec_of(object)->max_per_node);
}

static const struct compose_key placement_keys[] = {
    {"constraints", KEY_READ, read_constraints, NULL},
    {"max_replicas_per_node", KEY_READ, read_max_per_node, NULL},
    {"preferences", KEY_READ, read_preferences, NULL},
};

static void read_placement(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, placement_keys, ARRAY_SIZE(placement_keys), object);
}

/* --- deploy -------------------------------------------------------------------------------- */

static void read_mode(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    for (int i = 0; service_mode_names[i]; i++)
        if (strcmp(text, service_mode_names[i]) == 0) {
            spec_of(object)->mode = (enum service_mode)i;
            return;
        }
    compose_error(r, value, "'%.64s' must be replicated, global, replicated-job or global-job",
                  text);
}

static void read_replicas(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_number(r, value, 0, COMPOSE_REPLICAS_MAX, &draft_of(object)->replicas_n))
        draft_of(object)->replicas = value;
}

void compose_read_scale(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_number(r, value, 0, COMPOSE_REPLICAS_MAX, &draft_of(object)->scale_n))
        draft_of(object)->scale = value;
}

static void read_endpoint_mode(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const names[] = {"dnsrr", "vip", NULL};
    int i = compose_read_choice(r, value, names);
    if (i == 0)
        spec_of(object)->endpoint_mode = ENDPOINT_DNSRR;
    else if (i == 1)
        spec_of(object)->endpoint_mode = ENDPOINT_VIP;
}

static const struct compose_key deploy_keys[] = {
    {"mode", KEY_READ, read_mode, NULL},
    {"replicas", KEY_READ, read_replicas, NULL},
    {"labels", KEY_READ, compose_read_labels, NULL},
    {"placement", KEY_READ, read_placement, NULL},
    {"resources", KEY_READ, read_resources, NULL},
    {"restart_policy", KEY_READ, read_restart_policy, NULL},
    {"update_config", KEY_READ, compose_read_update, NULL},
    {"rollback_config", KEY_READ, compose_read_rollback, NULL},
    {"endpoint_mode", KEY_READ, read_endpoint_mode, NULL},
};

void compose_read_deploy(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, deploy_keys, ARRAY_SIZE(deploy_keys), object);
}

/* --- settling ------------------------------------------------------------------------------ */

static void settle_replicas(struct reader *r, struct compose_draft *d)
{
    struct spec *spec = &d->service->spec;
    const struct yaml *given = d->replicas ? d->replicas : d->scale;
    if (d->replicas && d->scale && d->replicas_n != d->scale_n)
        compose_error(r, d->scale, "scale and deploy.replicas differ; keep one of them");
    if (given && mode_is_global(spec->mode)) {
        compose_error(r, given, "a global service runs once on every node and takes no replicas");
        return;
    }
    spec->replicas = d->replicas ? d->replicas_n : d->scale ? d->scale_n : 1;
    if (mode_is_global(spec->mode))
        spec->replicas = 0;
    if (spec->max_per_node && mode_is_global(spec->mode))
        compose_error(r, d->max_per_node, "a global service runs once on every node anyway");
}

/* Take @plain for @value unless both are given and differ. */
static void settle_amount(struct reader *r, const struct compose_draft *d, const char *name,
                          int64_t plain, int64_t *value)
{
    if (plain && *value && plain != *value)
        compose_error(r, d->plain_at, "%s and deploy.resources differ; keep one of them", name);
    if (plain)
        *value = plain;
}

static void settle_resources(struct reader *r, struct compose_draft *d)
{
    struct spec *spec = &d->service->spec;
    settle_amount(r, d, "mem_limit", d->plain_limits.memory_bytes, &spec->limits.memory_bytes);
    settle_amount(r, d, "cpus", d->plain_limits.cpu_milli, &spec->limits.cpu_milli);
    settle_amount(r, d, "pids_limit", d->plain_limits.pids, &spec->limits.pids);
    settle_amount(r, d, "mem_reservation", d->plain_reservations.memory_bytes,
                  &spec->reservations.memory_bytes);
    if (spec->limits.memory_bytes && spec->reservations.memory_bytes > spec->limits.memory_bytes)
        compose_error(r, d->key, "reserves more memory than its limit allows");
    if (spec->limits.cpu_milli && spec->reservations.cpu_milli > spec->limits.cpu_milli)
        compose_error(r, d->key, "reserves more CPUs than its limit allows");
}

void compose_settle_deploy(struct reader *r, struct compose_draft *draft)
{
    settle_replicas(r, draft);
    settle_resources(r, draft);
    compose_settle_job(r, draft);
    compose_settle_health(r, draft);
    if (draft->restart_policy)
        draft->service->spec.restart = draft->policy;
}
