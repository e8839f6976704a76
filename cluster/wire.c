/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/wire.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

static const struct field call_fields[] = {
    FIELD_INT(struct call, version),    FIELD_INT(struct call, id),
    FIELD_STRING(struct call, verb),    FIELD_SECRET(struct call, token),
    FIELD_BOOL(struct call, forwarded), FIELD_BYTES(struct call, request_id),
    FIELD_BYTES(struct call, body),     FIELD_BOOL(struct call, stale),
    FIELD_INT(struct call, begin),
};

const struct record_type call_type = RECORD_TYPE("call", struct call, call_fields);

static const struct field reply_fields[] = {
    FIELD_INT(struct reply, id),         FIELD_INT(struct reply, code),
    FIELD_STRING(struct reply, message), FIELD_INT(struct reply, index),
    FIELD_INT(struct reply, members),    FIELD_BYTES(struct reply, body),
};

const struct record_type reply_type = RECORD_TYPE("reply", struct reply, reply_fields);

/* FNV-1a (draft-eastlake-fnv) of each, added up. */
int64_t wire_addresses_sum(char *const *addresses, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (const char *p = addresses[i]; *p; p++)
            hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
        sum += hash;
    }
    return (int64_t)(sum >> 1); /* never negative on the wire */
}

void reply_set_err(struct reply *reply, const struct err *err)
{
    check(err->code < 0);
    reply->code = -(int64_t)err->code;
    free(reply->message);
    reply->message = str_copy(err->msg);
    bytes_set(&reply->body, NULL, 0);
}

int reply_get_err(const struct reply *reply, struct err *err)
{
    if (reply->code == 0)
        return 0;
    /* A number out of range is one this build does not know. */
    bool known = reply->code > 0 && reply->code < 1 << 16;
    int code = err_from_wire(known ? (long)reply->code : 0);
    const char *message = str_or_empty(reply->message);
    return err_set(err, code, "%s", *message ? message : err_text(code));
}

size_t wire_put_frame(const struct record_type *type, const void *record, struct buf *out)
{
    size_t at = out->len;
    buf_put_u32(out, 0);
    record_encode(type, record, out);
    size_t len = out->len - at - WIRE_HEADER;
    for (int i = 0; i < WIRE_HEADER; i++)
        out->data[at + (size_t)i] = (char)(len >> (8 * i) & 0xff);
    return len;
}

size_t wire_frame_len(const void *header)
{
    const unsigned char *h = header;
    return (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
}
