/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/scheduler.h"

#include "base/buf.h"

#include <inttypes.h>

static const char *refusal_text(enum refusal refusal)
{
    switch (refusal) {
    case REFUSED_WITNESS:
        return "witness only";
    case REFUSED_DOWN:
        return "down";
    case REFUSED_PAUSED:
        return "paused";
    case REFUSED_DRAINING:
        return "draining";
    case REFUSED_CONSTRAINT:
        return "do not meet the constraints";
    case REFUSED_VOLUME:
        return "are not the home of its volume";
    case REFUSED_CPU:
        return "short of CPU";
    case REFUSED_MEMORY:
        return "short of memory";
    case REFUSED_MAX_PER_NODE:
        return "at max replicas per node";
    case REFUSED_MAX:
        break;
    }
    return "?";
}

void unplaced_explain(const struct unplaced *unplaced, struct buf *out)
{
    if (unplaced->waits_for[0]) {
        buf_printf(out, "waits for %s", unplaced->waits_for);
        return;
    }
    if (unplaced->nodes == 0) {
        buf_puts(out, "no nodes");
        return;
    }
    buf_printf(out, "0 of %" PRId64 " nodes fit", unplaced->nodes);
    const char *separator = ": ";
    for (int i = 0; i < REFUSED_MAX; i++) {
        if (unplaced->refused[i] == 0)
            continue;
        buf_printf(out, "%s%" PRId64 " %s", separator, unplaced->refused[i],
                   refusal_text((enum refusal)i));
        separator = ", ";
    }
}
