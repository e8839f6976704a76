/* SPDX-License-Identifier: Apache-2.0 */
/* Changes and batches as bytes: the payload of a raft entry. Bounded, strict, and canonical. */
#include "store/change.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "store/record_scan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAGIC = 0x31424857, /* "WHB1" in little-endian order */
    BATCH_VERSION = 1,
    BATCH_CHANGES_MAX = 65536,
    REQUEST_BYTES = REQUEST_ID_BYTES + 8, /* with the index at which it began */
    /* First bytes of msgpack values. */
    MSGPACK_NIL = 0xc0,
    MSGPACK_BIN8 = 0xc4,
    MSGPACK_UINT16 = 0xcd,
    MSGPACK_ARRAY3 = 0x93,
    MSGPACK_ARRAY32 = 0xdd,
};

void change_release(struct change *change)
{
    if (change->body) {
        record_release(change_type((int)change->kind), change->body);
        free(change->body);
    }
    *change = (struct change){0};
}

static void put_kind(int kind, struct buf *out)
{
    check(kind > 0 && kind <= UINT16_MAX);
    if (kind > 0x7f) {
        buf_putc(out, (char)MSGPACK_UINT16);
        buf_putc(out, (char)(kind >> 8));
    }
    buf_putc(out, (char)(kind & 0xff));
}

void change_encode(const struct change *change, struct buf *out)
{
    const struct record_type *type = change_type((int)change->kind);
    check(type && change->body);
    buf_putc(out, (char)MSGPACK_ARRAY3);
    put_kind((int)change->kind, out);
    if (change->has_request_id) {
        buf_putc(out, (char)MSGPACK_BIN8);
        buf_putc(out, change->begin > 0 ? REQUEST_BYTES : REQUEST_ID_BYTES);
        buf_append(out, change->request_id, REQUEST_ID_BYTES);
        if (change->begin > 0)
            buf_put_u64(out, (unsigned long long)change->begin);
    } else {
        buf_putc(out, (char)MSGPACK_NIL);
    }
    record_encode(type, change->body, out);
}

static uint64_t little_endian(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

static int read_request_id(struct scan *scan, struct change *change, struct err *err)
{
    const unsigned char *id;
    size_t len;
    if (scan_nil(scan))
        return 0;
    if (!scan_bytes(scan, &id, &len) || (len != REQUEST_ID_BYTES && len != REQUEST_BYTES))
        return err_set(err, ERR_CORRUPT, "change: its request id is not of %d bytes",
                       REQUEST_ID_BYTES);
    change->has_request_id = true;
    memcpy(change->request_id, id, REQUEST_ID_BYTES);
    if (len == REQUEST_ID_BYTES)
        return 0;
    uint64_t begin = little_endian(id + REQUEST_ID_BYTES, len - REQUEST_ID_BYTES);
    if (begin == 0 || begin > INT64_MAX)
        return err_set(err, ERR_CORRUPT, "change: its request began at an impossible index");
    change->begin = (int64_t)begin;
    return 0;
}

int change_unknown(uint64_t kind, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED,
                   "change: kind %" PRIu64 " is not known to this version of wherry; "
                   "upgrade this member",
                   kind);
}

static int decode(const void *data, size_t len, size_t *memory, struct change *ret_change,
                  struct err *err)
{
    struct scan scan = {.data = data, .len = len};
    struct change change = {0};
    size_t n;
    uint64_t kind;
    if (scan_value(data, len) != len || !scan_array(&scan, &n) || n != 3 ||
        !scan_uint(&scan, &kind))
        return err_set(err, ERR_CORRUPT, "change: not an array of kind, request id and body");
    const struct record_type *type = kind <= INT_MAX ? change_type((int)kind) : NULL;
    if (!type)
        return change_unknown(kind, err);
    int rv = read_request_id(&scan, &change, err);
    if (rv < 0)
        return rv;
    change.kind = (enum change_kind)kind;
    *memory += type->size;
    change.body = mem_alloc(1, type->size);
    rv = record_decode_within(type, scan.data, scan.len, true, memory, change.body, err);
    if (rv < 0) {
        free(change.body);
        return rv;
    }
    *ret_change = change;
    return 0;
}

int change_decode(const void *data, size_t len, struct change *ret_change, struct err *err)
{
    size_t memory = 0;
    return decode(data, len, &memory, ret_change, err);
}

void batch_encode(int64_t now_ms, const struct buf *changes, size_t n, struct buf *out)
{
    check(now_ms >= 0 && n <= BATCH_CHANGES_MAX);
    buf_put_u32(out, BATCH_MAGIC);
    buf_put_u32(out, BATCH_VERSION);
    buf_put_u64(out, (unsigned long long)now_ms);
    buf_putc(out, (char)MSGPACK_ARRAY32);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_putc(out, (char)(n >> shift & 0xff));
    for (size_t i = 0; i < n; i++)
        buf_append(out, changes[i].data, changes[i].len);
}

static int decode_header(struct scan *scan, int64_t *ret_now_ms, size_t *ret_n, struct err *err)
{
    if (scan->len > BATCH_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "batch: %zu bytes; at most %d are allowed", scan->len,
                       BATCH_BYTES_MAX);
    if (scan->len < BATCH_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "batch: %zu bytes are too few for its header", scan->len);
    if (little_endian(scan->data, 4) != BATCH_MAGIC)
        return err_set(err, ERR_CORRUPT, "batch: does not start as one");
    uint64_t version = little_endian(scan->data + 4, 4);
    if (version != BATCH_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "batch: version %" PRIu64 " is not known to this version of wherry; "
                       "upgrade this member",
                       version);
    uint64_t now_ms = little_endian(scan->data + 8, 8);
    if (now_ms > INT64_MAX)
        return err_set(err, ERR_CORRUPT, "batch: its time is negative");
    scan->data += BATCH_HEADER_BYTES;
    scan->len -= BATCH_HEADER_BYTES;
    if (!scan_array(scan, ret_n) || *ret_n > BATCH_CHANGES_MAX)
        return err_set(err, ERR_CORRUPT, "batch: not an array, or of too many changes");
    *ret_now_ms = (int64_t)now_ms;
    return 0;
}

static int decode_changes(struct scan *scan, struct change *changes, size_t n, struct err *err)
{
    size_t memory = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = scan_value(scan->data, scan->len);
        if (len == 0)
            return err_set(err, ERR_CORRUPT, "batch: change %zu is malformed or cut short", i);
        int rv = decode(scan->data, len, &memory, &changes[i], err);
        if (rv < 0)
            return err_wrap(err, "batch: change %zu", i);
        scan->data += len;
        scan->len -= len;
    }
    return scan->len == 0 ? 0 : err_set(err, ERR_CORRUPT, "batch: bytes after its end");
}

int batch_decode(const void *data, size_t len, int64_t *ret_now_ms, struct change **ret_changes,
                 size_t *ret_n, struct err *err)
{
    struct scan scan = {.data = data, .len = len};
    int64_t now_ms = 0;
    size_t n = 0;
    int rv = decode_header(&scan, &now_ms, &n, err);
    if (rv < 0)
        return rv;
    struct change *changes = mem_alloc(n, sizeof(*changes));
    rv = decode_changes(&scan, changes, n, err);
    if (rv < 0) {
        for (size_t i = 0; i < n; i++)
            change_release(&changes[i]);
        free(changes);
        return rv;
    }
    *ret_now_ms = now_ms;
    *ret_changes = changes;
    *ret_n = n;
    return 0;
}
