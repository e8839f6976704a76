/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what comes in from a caller or another machine: the first byte picks what they are
 * taken for: a call, a reply, a token, an address, or the text on a connection of the bus. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus_internal.h"
#include "cluster/identity.h"
#include "cluster/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted must survive a round. */
static void as_record(const struct record_type *type, const uint8_t *data, size_t size)
{
    struct err err;
    union {
        struct call call;
        struct reply reply;
    } a, b;
    if (record_decode(type, data, size, false, &a, &err) < 0)
        return;
    cleanup_buf struct buf bytes = BUF_INIT;
    size_t len = wire_put_frame(type, &a, &bytes);
    check(wire_frame_len(bytes.data) == len && bytes.len == WIRE_HEADER + len);
    check(record_decode(type, bytes.data + WIRE_HEADER, len, true, &b, &err) == 0);
    check(record_equal(type, &a, &b));
    if (type == &reply_type)
        check((reply_get_err(&a.reply, &err) == 0) == (a.reply.code == 0));
    record_release(type, &a);
    record_release(type, &b);
}

static void as_text(const uint8_t *data, size_t size)
{
    cleanup_free char *text = mem_alloc(size + 1, 1);
    memcpy(text, data, size);
    struct err err;
    enum token_kind kind;
    unsigned char ca_hash[32];
    unsigned char secret_hash[32];
    struct address address;
    union socket_address sa;
    token_parse(text, &kind, ca_hash, secret_hash, &err);
    if (address_split(text, "7400", &address, &err) == 0)
        address_numeric(&address, &sa, &err);
}

static size_t delivered;

static void on_secure(struct conn *conn)
{
    (void)conn;
}

static void on_frame(struct conn *conn, unsigned kind, const void *data, size_t len)
{
    check(len <= conn->message_max && kind < 256);
    for (size_t i = 0; i < len; i++)
        delivered += ((const unsigned char *)data)[i];
}

static void on_closed(struct conn *conn, const char *reason)
{
    check(conn->state == CONN_HELLO && *reason);
}

static const struct conn_ops ops = {on_secure, on_frame, on_closed};

/* The text on a connection, in pieces of the length that its first byte says. */
static void as_frames(const uint8_t *data, size_t size)
{
    static uv_loop_t loop;
    static struct bus bus;
    if (!bus.config.loop) {
        check(uv_loop_init(&loop) == 0);
        bus.config.loop = &loop;
        bus.handles = 1;
    }
    if (size == 0)
        return;
    size_t step = (size_t)data[0] + 1;
    struct conn *conn = conn_new(&bus, &ops);
    conn->state = CONN_HELLO;
    for (size_t at = 1; at < size && conn->state == CONN_HELLO; at += step)
        conn_parse(conn, (const char *)data + at, size - at < step ? size - at : step);
    conn_close(conn, "the end");
    uv_run(&loop, UV_RUN_NOWAIT);
    check(!bus.conns && bus.handles == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        as_record(&call_type, data + 1, size - 1);
        break;
    case 1:
        as_record(&reply_type, data + 1, size - 1);
        break;
    case 2:
        as_text(data + 1, size - 1);
        break;
    case 3:
        as_frames(data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
