/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile backup: as it is, and with its checksum made right, so that what is behind it is
 * reached too: the header record and the database. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/backup.h"
#include "store/store.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_one(const uint8_t *data, size_t size)
{
    struct backup_header header;
    struct err err;
    const void *state;
    size_t len;
    if (backup_open(data, size, &header, &state, &len, &err) < 0) {
        check(err.msg[0] != '\0');
        return;
    }
    struct store *store = store_new();
    if (store_restore(store, state, len, &err) == 0) {
        unsigned char digest[DIGEST_BYTES];
        store_digest(store, digest);
    }
    store_free(store);
    record_release(&backup_header_type, &header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_one(data, size);
    if (size <= BACKUP_PREFIX_BYTES)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    struct digest *d = digest_new();
    digest_update(d, copy, 32);
    digest_update(d, copy + BACKUP_PREFIX_BYTES, size - BACKUP_PREFIX_BYTES);
    digest_final(d, copy + 32);
    open_one(copy, size);
    free(copy);
    return 0;
}
