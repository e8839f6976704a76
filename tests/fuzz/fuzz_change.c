/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a batch, and as one change. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "store/change.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_change(const uint8_t *data, size_t size)
{
    struct change change;
    struct change again;
    struct err err;
    cleanup_buf struct buf bytes = BUF_INIT;
    if (change_decode(data, size, &change, &err) < 0)
        return;
    change_encode(&change, &bytes);
    check(change_decode(bytes.data, bytes.len, &again, &err) == 0);
    change_release(&change);
    change_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct change *changes;
    size_t n;
    int64_t now_ms;
    struct err err;
    try_change(data, size);
    if (batch_decode(data, size, &now_ms, &changes, &n, &err) < 0)
        return 0;
    check(now_ms >= 0);
    for (size_t i = 0; i < n; i++) {
        check(change_type((int)changes[i].kind));
        change_release(&changes[i]);
    }
    free(changes);
    return 0;
}
