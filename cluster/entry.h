/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry - our frames around what raft stores: one log entry, one snapshot.
 *
 *     entry     u32 magic "WHE1" | u32 version | u32 payload length | u32 CRC-32 of the payload |
 *               payload | zeros to a multiple of 8
 *     snapshot  u32 magic "WHS1" | u32 version | u64 payload length | i64 index | u64 zero |
 *               SHA-256 of the 32 bytes before and the payload | payload
 *
 * All numbers are little-endian. The entry carries its own length because libraft loses the log
 * after an entry whose length is no multiple of 8; the snapshot carries a checksum because libraft
 * writes none. A version that this build does not know is ERR_UNSUPPORTED: the member must stop and
 * be upgraded, never guess.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_CLUSTER_ENTRY_H
#define WHERRY_CLUSTER_ENTRY_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    ENTRY_HEADER_BYTES = 16,
    ENTRY_VERSION = 1,
    SNAPSHOT_HEADER_BYTES = 64,
    SNAPSHOT_VERSION = 1,
};

/* Size of the entry that holds @payload_len bytes: a multiple of 8. */
size_t entry_size(size_t payload_len);

/* Write the entry of @payload to @out, which has room for entry_size(@len). */
void entry_encode(const void *payload, size_t len, void *out);

/* Check an entry and borrow its payload. ERR_CORRUPT or ERR_UNSUPPORTED. */
int entry_decode(const void *data, size_t len, const void **ret_payload, size_t *ret_len,
                 struct err *err);

/* Write the header of a snapshot of the state at @index to @out. */
void snapshot_header_encode(const void *payload, size_t len, int64_t index,
                            unsigned char out[SNAPSHOT_HEADER_BYTES]);

/* Check a snapshot and borrow its payload; @ret_index is the index it was taken at. ERR_CORRUPT or
 * ERR_UNSUPPORTED. */
int snapshot_decode(const void *data, size_t len, const void **ret_payload, size_t *ret_len,
                    int64_t *ret_index, struct err *err);

#endif
