/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset - lists of CPUs as cpuset(7) has them: "0-3,7". Pure.
 */
#ifndef WHERRY_RUNTIME_CPUSET_H
#define WHERRY_RUNTIME_CPUSET_H

#include <sched.h>
#include <stdbool.h>

/* Read @text. False, and an empty set, when it is no such list or names a CPU past 1023. */
bool cpuset_parse(const char *text, cpu_set_t *ret_set);

#endif
