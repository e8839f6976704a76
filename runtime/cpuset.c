/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cpuset.h"

#include <ctype.h>
#include <stdlib.h>

/* A number below CPU_SETSIZE, or -1. */
static int read_number(const char **p)
{
    if (!isdigit((unsigned char)**p))
        return -1;
    char *end;
    unsigned long v = strtoul(*p, &end, 10);
    *p = end;
    return v < CPU_SETSIZE ? (int)v : -1;
}

bool cpuset_parse(const char *text, cpu_set_t *ret_set)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_ZERO(ret_set);
    const char *p = text;
    for (;;) {
        int first = read_number(&p), last = first;
        if (first < 0)
            return false;
        if (*p == '-') {
            p++;
            last = read_number(&p);
        }
        if (last < first)
            return false;
        for (int cpu = first; cpu <= last; cpu++)
            CPU_SET((size_t)cpu, &set);
        if (!*p)
            break;
        if (*p++ != ',')
            return false;
    }
    *ret_set = set;
    return true;
}
