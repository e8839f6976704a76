/* SPDX-License-Identifier: Apache-2.0 */
/* Any batch, applied: nothing breaks, a refused batch leaves no trace, and what came of it is the
 * same restored from a snapshot. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "store/store.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(struct store *a, struct store *b)
{
    unsigned char digests[2][32];
    store_digest(a, digests[0]);
    store_digest(b, digests[1]);
    check(memcmp(digests[0], digests[1], 32) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store = store_new();
    struct store *restored = store_new();
    struct change_result *results;
    size_t n;
    struct err err;
    if (store_apply(store, 1, data, size, &results, &n, &err) == 0) {
        cleanup_buf struct buf snapshot = BUF_INIT;
        free(results);
        store_snapshot(store, &snapshot);
        check(store_restore(restored, snapshot.data, snapshot.len, &err) == 0);
    }
    check_same(store, restored);
    store_free(store);
    store_free(restored);
    return 0;
}
