/* SPDX-License-Identifier: Apache-2.0 */
/* Any batch, applied to two stores: neither breaks, both come to the same, and so does a third
 * that is restored from a snapshot. */
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
    struct store *stores[2] = {store_new(), store_new()};
    struct change_result *results;
    size_t n;
    struct err err;
    int rv[2];
    for (int i = 0; i < 2; i++) {
        rv[i] = store_apply(stores[i], 1, data, size, &results, &n, &err);
        if (rv[i] == 0)
            free(results);
    }
    check(rv[0] == rv[1]);
    check_same(stores[0], stores[1]);
    if (rv[0] == 0) {
        cleanup_buf struct buf snapshot = BUF_INIT;
        store_snapshot(stores[0], &snapshot);
        check(store_restore(stores[1], snapshot.data, snapshot.len, &err) == 0);
        check_same(stores[0], stores[1]);
    }
    store_free(stores[0]);
    store_free(stores[1]);
    return 0;
}
