/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_compose - any bytes as a Compose file. What loads must survive its own encoding.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/compose.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses 4 KiB in some parses that fail. A process reads one file and ends. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static const char *lookup(void *context, const char *name)
{
    (void)context;
    return name[0] == 'S' ? "set" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct compose_options options = {.file = "fuzz.yaml", .stack = "fuzz", .lookup = lookup};
    struct compose_project project, again;
    struct compose_errors errors = {0};
    if (compose_parse(&options, (const char *)data, size, &project, &errors) == 0) {
        cleanup_buf struct buf encoded = BUF_INIT;
        struct err err;
        record_encode(&compose_project_type, &project, &encoded);
        check(record_decode(&compose_project_type, encoded.data, encoded.len, true, &again, &err) ==
              0);
        check(record_equal(&compose_project_type, &project, &again));
        compose_project_release(&again);
        compose_project_release(&project);
    }
    compose_errors_release(&errors);
    return 0;
}
