/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a record: the first byte picks the type. What is accepted must survive a round. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/change.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record_type *const types[] = {
    &cluster_type,  &stack_type,   &service_type, &revision_type, &task_type,
    &node_type,     &network_type, &volume_type,  &token_type,    &event_type,
#define X(kind, number, body) &change_##body##_type,
    CHANGE_KINDS(X)
#undef X
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct record_type *type = types[(data[0] & 0x7f) % ARRAY_SIZE(types)];
    void *record = mem_alloc(1, type->size);
    struct err err;
    if (record_decode(type, data + 1, size - 1, data[0] & 0x80, record, &err) == 0) {
        cleanup_buf struct buf bytes = BUF_INIT;
        cleanup_buf struct buf json = BUF_INIT;
        void *again = mem_alloc(1, type->size);
        record_encode(type, record, &bytes);
        check(record_decode(type, bytes.data, bytes.len, true, again, &err) == 0);
        check(record_equal(type, record, again));
        record_json(type, record, 0, &json);
        record_release(type, again);
        free(again);
    }
    record_release(type, record);
    free(record);
    return 0;
}
