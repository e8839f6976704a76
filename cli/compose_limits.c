/* SPDX-License-Identifier: Apache-2.0 */
/* How much of its node a container may take, besides what deploy.resources says. */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    CPU_PERIOD_US = 100000, /* where none is given, as for the kernel */
    CPU_PERIOD_MIN_US = 1000,
    CPU_PERIOD_MAX_US = 1000000,
    CPU_QUOTA_MIN_US = 1000,
};

static struct compose_draft *draft_of(void *object)
{
    return object;
}

/* --- memory -------------------------------------------------------------------------------- */

void compose_read_shm_size(struct reader *r, const struct yaml *value, void *object)
{
    int64_t bytes;
    if (!compose_read_size(r, value, &bytes))
        return;
    if (bytes < OPTIONS_SHM_BYTES_MIN)
        compose_error(r, value, "must be at least %d bytes", OPTIONS_SHM_BYTES_MIN);
    else
        compose_options_of(object)->shm_bytes = bytes;
}

void compose_read_memswap_limit(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    int64_t *bytes = &compose_options_of(object)->memswap_bytes;
    if (strcmp(text, "-1") == 0)
        *bytes = -1;
    else if (!compose_size(text, bytes))
        compose_error(r, value, "'%.64s' must be a size such as 512M, or -1 for no limit", text);
}

void compose_read_mem_swappiness(struct reader *r, const struct yaml *value, void *object)
{
    int64_t percent;
    if (compose_read_number(r, value, 0, 100, &percent))
        compose_options_of(object)->swappiness_set = 1 + percent;
}

void compose_read_oom_kill_disable(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &compose_options_of(object)->oom_kill_disable);
}

void compose_read_oom_score_adj(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, -OPTIONS_OOM_SCORE_MAX, OPTIONS_OOM_SCORE_MAX,
                        &compose_options_of(object)->oom_score_adj);
}

/* --- CPUs ---------------------------------------------------------------------------------- */

void compose_read_cpuset(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_form(r, value, OPTION_CPUSET, &compose_options_of(object)->cpuset);
}

void compose_read_cpu_shares(struct reader *r, const struct yaml *value, void *object)
{
    int64_t shares;
    if (!compose_read_number(r, value, 0, OPTIONS_CPU_SHARES_MAX, &shares))
        return;
    if (shares == 1)
        compose_error(r, value, "must be 0 (not given) or at least %d", OPTIONS_CPU_SHARES_MIN);
    else
        compose_options_of(object)->cpu_shares = shares;
}

/* Microseconds, or a duration with its unit. */
static bool read_microseconds(struct reader *r, const struct yaml *value, int64_t min, int64_t max,
                              int64_t *ret_us)
{
    cleanup_free char *text = compose_text(r, value);
    int64_t us = 0, ms;
    if (!text)
        return false;
    bool known = compose_number(text, 0, INT32_MAX, &us);
    if (!known && compose_duration(text, &ms)) {
        known = true;
        us = ms > INT32_MAX / 1000 ? INT32_MAX : ms * 1000;
    }
    if (known && us >= min && us <= max) {
        *ret_us = us;
        return true;
    }
    compose_error(r, value, "'%.64s' must be %lld to %lld microseconds", text, (long long)min,
                  (long long)max);
    return false;
}

void compose_read_cpu_period(struct reader *r, const struct yaml *value, void *object)
{
    if (read_microseconds(r, value, CPU_PERIOD_MIN_US, CPU_PERIOD_MAX_US,
                          &draft_of(object)->cpu_period_us))
        draft_of(object)->cpu_period = value;
}

void compose_read_cpu_quota(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text || strcmp(text, "-1") == 0 || strcmp(text, "0") == 0)
        return; /* no limit */
    if (read_microseconds(r, value, CPU_QUOTA_MIN_US, INT32_MAX, &draft_of(object)->cpu_quota_us))
        draft_of(object)->cpu_quota = value;
}

void compose_settle_limits(struct reader *r, struct compose_draft *draft)
{
    if (!draft->cpu_quota) {
        if (draft->cpu_period)
            compose_error(r, draft->cpu_period,
                          "cpu_period is that of cpu_quota; give both, or "
                          "cpus: alone");
        return;
    }
    int64_t period = draft->cpu_period ? draft->cpu_period_us : CPU_PERIOD_US;
    int64_t milli = (draft->cpu_quota_us * 1000 + period - 1) / period;
    if (draft->plain_limits.cpu_milli && draft->plain_limits.cpu_milli != milli)
        compose_error(r, draft->cpu_quota, "cpus and cpu_quota differ; keep one of them");
    draft->plain_at = draft->cpu_quota;
    draft->plain_limits.cpu_milli = milli;
}

/* --- ulimits ------------------------------------------------------------------------------- */

struct ulimit_entry {
    struct ulimit_spec *limit;
    bool soft;
    bool hard;
};

static bool read_amount(struct reader *r, const struct yaml *value, int64_t *ret)
{
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "unlimited") == 0) {
        *ret = -1;
        return true;
    }
    return text && compose_read_number(r, value, -1, INT64_MAX / 100, ret);
}

static void read_soft(struct reader *r, const struct yaml *value, void *object)
{
    struct ulimit_entry *entry = object;
    entry->soft = read_amount(r, value, &entry->limit->soft);
}

static void read_hard(struct reader *r, const struct yaml *value, void *object)
{
    struct ulimit_entry *entry = object;
    entry->hard = read_amount(r, value, &entry->limit->hard);
}

static const struct compose_key ulimit_keys[] = {
    {"soft", KEY_READ, read_soft, NULL},
    {"hard", KEY_READ, read_hard, NULL},
};

static void read_ulimit(struct reader *r, const struct yaml_pair *pair, struct container_options *o)
{
    const char *name = pair->key->text;
    struct ulimit_spec limit = {0};
    if (!option_ok(OPTION_ULIMIT, name)) {
        compose_error(r, pair->key, "'%.64s' must be %s", name, option_meant(OPTION_ULIMIT));
        return;
    }
    size_t before = compose_enter(r, name);
    bool whole;
    if (pair->value->kind == YAML_MAP) {
        struct ulimit_entry entry = {.limit = &limit};
        size_t errors = r->errs->n;
        compose_section(r, pair->value, ulimit_keys, ARRAY_SIZE(ulimit_keys), &entry);
        whole = entry.soft && entry.hard;
        if (!whole && r->errs->n == errors)
            compose_error(r, pair->key, "needs both soft: and hard:");
    } else {
        whole = read_amount(r, pair->value, &limit.soft);
        limit.hard = limit.soft;
    }
    if (whole && (uint64_t)limit.soft > (uint64_t)limit.hard)
        compose_error(r, pair->key, "the soft limit is higher than the hard one");
    compose_leave(r, before);
    limit.name = str_copy(name);
    o->ulimits = mem_resize(o->ulimits, o->ulimits_n + 1, sizeof(*o->ulimits));
    o->ulimits[o->ulimits_n++] = limit;
}

void compose_read_ulimits(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_NULL || !compose_is_map(r, value, "a mapping of limits"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_ulimit(r, &value->pairs[i], compose_options_of(object));
}
