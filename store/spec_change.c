/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spec_change.h"

#include "base/cleanup.h"

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

enum spec_change spec_change(const struct spec *from, const struct spec *to)
{
    enum spec_change most = SPEC_SAME;
    for (size_t i = 0; i < spec_type.fields_n; i++) {
        const struct field *f = &spec_type.fields[i];
        enum spec_change change = change_of(f);
        if (change > most && !record_field_equal(f, from, to))
            most = change;
    }
    return most;
}
