/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport - raft's messages as bytes.
 *
 *     u32 magic "WHR1" | u32 version | u32 type | u32 zero | what the type has, u64 each
 *     AppendEntries: … | u64 n | n times (u64 term | u32 type | u32 length) | the entries
 *     InstallSnapshot: … | u64 length of the configuration | configuration | snapshot
 *
 * All numbers are little-endian. A configuration is in libraft's own encoding, as it stands in the
 * log. What comes in is hostile until transport_decode() returned 0: every size is checked against
 * the bytes there are before anything is allocated for it, every number against what raft can take.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_CLUSTER_TRANSPORT_H
#define WHERRY_CLUSTER_TRANSPORT_H

#include <raft.h>

#include <stddef.h>

struct buf;
struct err;

enum {
    TRANSPORT_VERSION = 1,
    TRANSPORT_HEADER_BYTES = 16,
    TRANSPORT_ENTRY_BYTES_MAX = (1 << 20) + 4096, /* of one entry */
    TRANSPORT_SERVERS_MAX = 1024,                 /* in a configuration */
    TRANSPORT_ADDRESS_MAX = 255,
};

/* Append @message to @out. Of an AppendEntries only its first @n_entries go, and leader_commit is
 * cut to the last index that the message proves equal: a receiver must not commit past it. */
void transport_encode(const struct raft_message *message, unsigned n_entries, struct buf *out);

/* Decode a message from another member. @ret_message owns raft_malloc()ed memory, as libraft takes
 * it over: the entries' array, one block with all their bytes, the snapshot and its configuration;
 * release it with transport_release() unless it was handed to raft. server_id and server_address
 * are left for the caller. ERR_CORRUPT or ERR_UNSUPPORTED says what is wrong. */
int transport_decode(const void *data, size_t len, struct raft_message *ret_message,
                     struct err *err);

/* Free what transport_decode() allocated. */
void transport_release(struct raft_message *message);

/* Decode a configuration of @len bytes into @ret_configuration, to be closed with
 * raft_configuration_close(). ERR_CORRUPT. */
int transport_decode_configuration(const void *data, size_t len,
                                   struct raft_configuration *ret_configuration, struct err *err);

/* A copy of @from, to be closed likewise. */
void transport_copy_configuration(const struct raft_configuration *from,
                                  struct raft_configuration *ret_to);

#endif
