/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spec_change.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

static const struct {
    const char *field;
    enum spec_change change;
} changes[] = {
    {"replicas", SPEC_SCALED},    {"pull_policy", SPEC_SCALED}, /* what it led to is in image_digest
                                                                 */
    {"update", SPEC_KEEPS},       {"rollback", SPEC_KEEPS},     {"spread", SPEC_KEEPS},
    {"job", SPEC_KEEPS},          {"failover_ms", SPEC_KEEPS},  {"rollout_deadline_ms", SPEC_KEEPS},
    {"no_rebalance", SPEC_KEEPS}, {"depends_on", SPEC_KEEPS},   {"ports", SPEC_KEEPS},
    {"drain_ms", SPEC_LIVE},      {"restart", SPEC_LIVE},       {"stop_grace_ms", SPEC_LIVE},
    {"limits", SPEC_LIVE},        {"reservations", SPEC_LIVE},
};

static enum spec_change change_of(const struct field *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
        if (strcmp(changes[i].field, f->name) == 0)
            return changes[i].change;
    return SPEC_REPLACE;
}

/* Of "app_site@3": without the version. */
static size_t base_len(const char *source)
{
    const char *at = source ? strrchr(source, '@') : NULL;
    return at ? (size_t)(at - source) : 0;
}

/* True when the files are the same and only what is in them differs. */
static bool same_files(const struct content_ref *a, size_t a_n, const struct content_ref *b,
                       size_t b_n)
{
    if (a_n != b_n)
        return false;
    for (size_t i = 0; i < a_n; i++) {
        size_t len = base_len(a[i].source);
        if (len == 0 || len != base_len(b[i].source) ||
            strncmp(a[i].source, b[i].source, len) != 0 || !str_equal(a[i].target, b[i].target) ||
            !str_equal(a[i].uid, b[i].uid) || !str_equal(a[i].gid, b[i].gid) ||
            a[i].mode != b[i].mode)
            return false;
    }
    return true;
}

/* What is in the files of a running container can be changed, if its spec says how to tell it. */
static enum spec_change change_of_files(const struct spec *from, const struct spec *to)
{
    return *str_or_empty(from->on_change) && str_equal(from->on_change, to->on_change) &&
                   same_files(from->configs, from->configs_n, to->configs, to->configs_n) &&
                   same_files(from->secrets, from->secrets_n, to->secrets, to->secrets_n)
               ? SPEC_LIVE
               : SPEC_REPLACE;
}

static bool is_files(const struct field *f)
{
    return strcmp(f->name, "configs") == 0 || strcmp(f->name, "secrets") == 0;
}

enum spec_change spec_change(const struct spec *from, const struct spec *to)
{
    enum spec_change most = SPEC_SAME;
    for (size_t i = 0; i < spec_type.fields_n; i++) {
        const struct field *f = &spec_type.fields[i];
        enum spec_change change = is_files(f) ? change_of_files(from, to) : change_of(f);
        if (change > most && !record_field_equal(f, from, to))
            most = change;
    }
    return most;
}
