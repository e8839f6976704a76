/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/log_found.h"

#include "cluster/entry.h"
#include "cluster/progress.h"
#include "cluster/segment.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <raft.h>
#include <stdio.h>
#include <string.h>

enum {
    FORMAT = 1,
    TERM = 1,
    TIME = 1, /* of the snapshot, in its name */
};

/* u64 format | version | term | vote */
static int write_metadata(const char *dir, struct err *err)
{
    cleanup_free char *path = str_printf("%s/metadata1", dir);
    cleanup_buf struct buf data = BUF_INIT;
    buf_put_u64(&data, FORMAT);
    buf_put_u64(&data, 1);
    buf_put_u64(&data, TERM);
    buf_put_u64(&data, 0);
    return file_write(path, data.data, data.len, 0600, err);
}

/* u64 format | u64 CRC of what follows | u64 index of the configuration | u64 length |
 * configuration */
static int write_meta(const char *path, int64_t id, int64_t index, struct err *err)
{
    struct raft_configuration configuration;
    struct raft_buffer encoded;
    char address[32];
    snprintf(address, sizeof(address), "n%" PRId64, id);
    raft_configuration_init(&configuration);
    check(raft_configuration_add(&configuration, (raft_id)id, address, RAFT_VOTER) == 0);
    check(raft_configuration_encode(&configuration, &encoded) == 0);
    raft_configuration_close(&configuration);
    cleanup_buf struct buf body = BUF_INIT;
    cleanup_buf struct buf data = BUF_INIT;
    buf_put_u64(&body, (unsigned long long)index);
    buf_put_u64(&body, encoded.len);
    buf_append(&body, encoded.base, encoded.len);
    raft_free(encoded.base);
    buf_put_u64(&data, FORMAT);
    buf_put_u64(&data, segment_crc(body.data, body.len, 0));
    buf_append(&data, body.data, body.len);
    return file_write(path, data.data, data.len, 0600, err);
}

static int write_snapshot(const char *path, int64_t index, const void *state, size_t len,
                          struct err *err)
{
    unsigned char header[SNAPSHOT_HEADER_BYTES];
    cleanup_buf struct buf data = BUF_INIT;
    snapshot_header_encode(state, len, index, header);
    buf_reserve(&data, sizeof(header) + len);
    buf_append(&data, header, sizeof(header));
    buf_append(&data, state, len);
    return file_write(path, data.data, data.len, 0600, err);
}

int log_found(const char *dir, int64_t id, int64_t index, const void *state, size_t len,
              struct err *err)
{
    check(index > 0 && id > 0);
    if (file_exists(dir))
        return err_set(err, ERR_EXISTS, "%s exists", dir);
    cleanup_free char *path = str_printf("%s/snapshot-%d-%" PRId64 "-%d", dir, TERM, index, TIME);
    cleanup_free char *meta = str_printf("%s.meta", path);
    int rv = file_mkdirs(dir, 0700, err);
    if (rv == 0)
        rv = write_metadata(dir, err);
    if (rv == 0)
        rv = write_snapshot(path, index, state, len, err);
    if (rv == 0)
        rv = write_meta(meta, id, index, err);
    if (rv == 0)
        rv = progress_save(dir, index, err);
    return rv < 0 ? rv : file_sync_parent(dir, err);
}
