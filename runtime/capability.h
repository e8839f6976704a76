/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability - the parts of root's power, by name (capabilities(7)).
 *
 * A set is one bit for each number. Pure but for capability_own().
 */
#ifndef WHERRY_RUNTIME_CAPABILITY_H
#define WHERRY_RUNTIME_CAPABILITY_H

#include <stdint.h>

struct container_spec;
struct err;

enum {
    CAPABILITY_LAST = 40, /* that has a name here */
};

/* What a container has when nothing is said, the 14 that Docker gives. */
uint64_t capability_default(void);

/* "CAP_NET_ADMIN" of 12; NULL past CAPABILITY_LAST. */
const char *capability_name(int number);

/* Number of "NET_ADMIN", "CAP_NET_ADMIN", "cap_net_admin"; -1 when there is none of that name. */
int capability_number(const char *name);

/* Those that this process may hand on: its permitted ones that are in its bounding set. All, if
 * that cannot be read. */
uint64_t capability_own(void);

/* The set of @spec, in Docker's order: privileged is everything; with ALL added, everything but
 * what is dropped; with ALL dropped, only what is added; else the default without what is dropped,
 * with what is added. Everything is @own. ERR_INVALID for an unknown name, ERR_UNSUPPORTED for one
 * that is added and not in @own. */
int capability_set(const struct container_spec *spec, uint64_t own, uint64_t *ret_set,
                   struct err *err);

#endif
