/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a seccomp profile; one that is taken becomes a config's part for any container. */
#include "base/cleanup.h"
#include "base/err.h"
#include "runtime/seccomp.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct seccomp_profile *profile = NULL;
    int rv = seccomp_profile_parse((const char *)data, size, &profile, &err);
    if (rv < 0) {
        check(err.code == rv && strncmp(err.msg, "seccomp: ", 9) == 0 && !profile);
        return 0;
    }
    check(profile->default_action && profile->architectures && profile->architectures[0]);
    const uint64_t sets[] = {0, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        json_t *json = seccomp_json(profile, sets[i], 6 << 16);
        check(json && json_array_size(json_object_get(json, "syscalls")) <= profile->rules_n);
        json_decref(json);
    }
    seccomp_profile_free(profile);
    return 0;
}
