/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a message of another member's raft. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cluster/transport.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct raft_message message;
    struct err err;
    if (transport_decode(data, size, &message, &err) < 0)
        return 0;
    cleanup_buf struct buf again = BUF_INIT;
    unsigned n = message.type == RAFT_IO_APPEND_ENTRIES ? message.append_entries.n_entries : 0;
    transport_encode(&message, n, &again);
    /* A configuration may come with other padding. */
    if (message.type != RAFT_IO_INSTALL_SNAPSHOT)
        check(again.len == size && memcmp(again.data, data, size) == 0);
    transport_release(&message);
    return 0;
}
