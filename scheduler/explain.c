/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/filter.h"

#include "base/buf.h"

#include <inttypes.h>

const char *refusal_text(enum refusal refusal)
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
    case REFUSED_PLATFORM:
        return "are not";
    case REFUSED_CONSTRAINT:
        return "do not meet the constraints";
    case REFUSED_VOLUME:
        return "are not the home of its volume";
    case REFUSED_CPU:
        return "short of CPU";
    case REFUSED_MEMORY:
        return "short of memory";
    case REFUSED_RESOURCE:
        return "short of a resource";
    case REFUSED_MAX_PER_NODE:
        return "at max replicas per node";
    case REFUSED_MAX:
        break;
    }
    return "?";
}

const char *refusal_text_of_one(enum refusal refusal)
{
    switch (refusal) {
    case REFUSED_WITNESS:
        return "is a witness and runs nothing";
    case REFUSED_DOWN:
        return "is down";
    case REFUSED_PAUSED:
        return "is paused";
    case REFUSED_DRAINING:
        return "is draining";
    case REFUSED_PLATFORM:
        return "is another platform";
    case REFUSED_CONSTRAINT:
        return "does not meet the constraints";
    case REFUSED_VOLUME:
        return "is not the home of its volume";
    case REFUSED_CPU:
        return "is short of CPU";
    case REFUSED_MEMORY:
        return "is short of memory";
    case REFUSED_RESOURCE:
        return "is short of a resource";
    case REFUSED_MAX_PER_NODE:
        return "has as many of its tasks as it may";
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
        if (i == REFUSED_PLATFORM)
            buf_printf(out, " %s", unplaced->platform);
        separator = ", ";
    }
}
