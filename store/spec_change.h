/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_change - what has to happen to the tasks of a service when its spec changes.
 *
 * A table says of each field what a change of it asks for; a field that is not in the table asks
 * for new tasks. This is part of what a level means (level.h): apply decides by it, so another
 * release may change the table only together with a level.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_STORE_SPEC_CHANGE_H
#define WHERRY_STORE_SPEC_CHANGE_H

#include "store/model.h"

enum spec_change {
    SPEC_SAME,   /* nothing differs */
    SPEC_SCALED, /* only how many there are to be, or what a deploy asks of registries */
    SPEC_KEEPS,  /* only what the scheduler and the network read: no task is touched */
    SPEC_LIVE,   /* … and what a node can change of a container that runs */
    SPEC_REPLACE /* tasks have to be replaced */
};

/* What going from @from to @to asks for: the most that any field does. */
enum spec_change spec_change(const struct spec *from, const struct spec *to);

#endif
