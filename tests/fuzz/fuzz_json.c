/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a request of the HTTP API: the first byte picks the verb's record. What is accepted
 * is written and read again as the same. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record_type *const types[] = {
#define X(name, request, reply) &request##_type,
    API_VERBS(X)
#undef X
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct record_type *type = types[data[0] % ARRAY_SIZE(types)];
    void *record = mem_alloc(1, type->size), *again = mem_alloc(1, type->size);
    struct err err;
    if (record_from_json(type, (const char *)data + 1, size - 1, record, &err) == 0) {
        cleanup_buf struct buf first = BUF_INIT, second = BUF_INIT, bytes = BUF_INIT;
        record_encode(type, record, &bytes);
        record_json(type, record, -1, &first);
        if (record_from_json(type, first.data, first.len, again, &err) == 0) {
            record_json(type, again, -1, &second);
            check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        }
        record_release(type, again);
    }
    record_release(type, record);
    free(record);
    free(again);
    return 0;
}
