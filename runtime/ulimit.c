/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ulimit.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/resource.h>

static const struct {
    const char *name;
    const char *oci_name;
    int number;
} limits[] = {
    {"as", "RLIMIT_AS", RLIMIT_AS},
    {"core", "RLIMIT_CORE", RLIMIT_CORE},
    {"cpu", "RLIMIT_CPU", RLIMIT_CPU},
    {"data", "RLIMIT_DATA", RLIMIT_DATA},
    {"fsize", "RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"locks", "RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"memlock", "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"msgqueue", "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"nice", "RLIMIT_NICE", RLIMIT_NICE},
    {"nofile", "RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"nproc", "RLIMIT_NPROC", RLIMIT_NPROC},
    {"rss", "RLIMIT_RSS", RLIMIT_RSS},
    {"rtprio", "RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"rttime", "RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"sigpending", "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"stack", "RLIMIT_STACK", RLIMIT_STACK},
};

int ulimit_number(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (strcmp(name, limits[i].name) == 0)
            return limits[i].number;
    }
    return -1;
}

const char *ulimit_oci_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (strcmp(name, limits[i].name) == 0)
            return limits[i].oci_name;
    }
    return NULL;
}
