/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of grpc.health.v1.Health/Check over HTTP/2 in the clear, with prior knowledge. The
 * headers that come back are not looked at, so that no HPACK is to be decoded: whether the server
 * serves is in the message.
 */
#include "node/probe.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <string.h>

enum {
    FRAME_HEADER = 9,
    FRAME_MAX = 16384, /* as large as without a setting of ours (RFC 9113, 4.2) */
    FRAMES_MAX = 256,
    TYPE_DATA = 0,
    TYPE_HEADERS = 1,
    TYPE_RST_STREAM = 3,
    TYPE_SETTINGS = 4,
    TYPE_PING = 6,
    TYPE_GOAWAY = 7,
    FLAG_ACK = 1,
    FLAG_END_STREAM = 1,
    FLAG_END_HEADERS = 4,
    FLAG_PADDED = 8,
    STREAM = 1,
    SERVING = 1,
    TEXT_MAX = 126, /* of a header's value: its length fits into 7 bits (RFC 7541, 5.1) */
};

/* --- asking ----------------------------------------------------------------------------------- */

static void put_frame(struct buf *out, unsigned type, unsigned flags, unsigned stream,
                      const void *data, size_t len)
{
    const unsigned char head[FRAME_HEADER] = {(unsigned char)(len >> 16),
                                              (unsigned char)(len >> 8),
                                              (unsigned char)len,
                                              (unsigned char)type,
                                              (unsigned char)flags,
                                              0,
                                              0,
                                              0,
                                              (unsigned char)stream};
    buf_append(out, head, sizeof(head));
    buf_append(out, data, len);
}

/* A literal header that is not to be indexed, without Huffman coding (RFC 7541, 6.2.2). */
static void put_header(struct buf *out, const char *name, const char *value)
{
    size_t len = strlen(value) < TEXT_MAX ? strlen(value) : TEXT_MAX;
    buf_putc(out, 0);
    buf_putc(out, (char)strlen(name));
    buf_puts(out, name);
    buf_putc(out, (char)len);
    buf_append(out, value, len);
}

void grpc_request(const char *host, const char *service, struct buf *out)
{
    struct buf headers = BUF_INIT;
    unsigned char message[5 + 2 + TEXT_MAX] = {0};
    size_t len = strlen(service) < TEXT_MAX ? strlen(service) : TEXT_MAX;
    size_t n = len ? 2 + len : 0;
    buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(out, TYPE_SETTINGS, 0, 0, NULL, 0);
    put_header(&headers, ":method", "POST");
    put_header(&headers, ":scheme", "http");
    put_header(&headers, ":path", "/grpc.health.v1.Health/Check");
    put_header(&headers, ":authority", host);
    put_header(&headers, "content-type", "application/grpc");
    put_header(&headers, "te", "trailers");
    put_frame(out, TYPE_HEADERS, FLAG_END_HEADERS, STREAM, headers.data, headers.len);
    buf_release(&headers);
    message[4] = (unsigned char)n;
    if (len > 0) { /* field 1, of text: the service */
        message[5] = 0x0a;
        message[6] = (unsigned char)len;
        memcpy(message + 7, service, len);
    }
    put_frame(out, TYPE_DATA, FLAG_END_STREAM, STREAM, message, 5 + n);
}

/* --- the answer ------------------------------------------------------------------------------- */

/* The message, as far as it is whole: a HealthCheckResponse, whose field 1 is its status. */
static int judge(const struct grpc_answer *a, struct err *err)
{
    if (a->message_n < 5)
        return a->over ? err_set(err, ERR_FAILED,
                                 "gRPC: it answered without a status: it has no health service, or "
                                 "does not know the service that is asked for")
                       : 0;
    size_t len = (size_t)a->message[1] << 24 | (size_t)a->message[2] << 16 |
                 (size_t)a->message[3] << 8 | a->message[4];
    if (a->message[0] != 0 || len > sizeof(a->message) - 5)
        return err_set(err, ERR_FAILED, "gRPC: its answer is compressed, or too long");
    if (a->message_n - 5 < len)
        return a->over ? err_set(err, ERR_FAILED, "gRPC: its answer breaks off") : 0;
    unsigned status = 0; /* UNKNOWN: the default is not sent */
    if (len >= 2 && a->message[5] == 0x08)
        status = a->message[6];
    return status == SERVING
               ? 1
               : err_set(err, ERR_FAILED, "gRPC: its status is %u, not SERVING", status);
}

static int take_data(struct grpc_answer *a, const unsigned char *data, size_t len, unsigned flags,
                     struct err *err)
{
    if (flags & FLAG_PADDED) {
        if (len < 1 || data[0] > len - 1)
            return err_set(err, ERR_FAILED, "gRPC: a frame of it is malformed");
        len -= 1 + (size_t)data[0];
        data++;
    }
    size_t room = sizeof(a->message) - a->message_n;
    size_t n = len < room ? len : room;
    memcpy(a->message + a->message_n, data, n);
    a->message_n += n;
    return 0;
}

static int take_frame(struct grpc_answer *a, unsigned type, unsigned flags, unsigned stream,
                      const unsigned char *data, size_t len, struct err *err)
{
    int rv = 0;
    if (++a->frames > FRAMES_MAX)
        return err_set(err, ERR_FAILED, "gRPC: it sends frame after frame, and no answer");
    switch (type) {
    case TYPE_DATA:
        if (stream == STREAM)
            rv = take_data(a, data, len, flags, err);
        a->over |= stream == STREAM && (flags & FLAG_END_STREAM);
        break;
    case TYPE_HEADERS:
        a->over |= stream == STREAM && (flags & FLAG_END_STREAM);
        break;
    case TYPE_RST_STREAM:
        return err_set(err, ERR_FAILED, "gRPC: it refused the call");
    case TYPE_GOAWAY:
        return err_set(err, ERR_FAILED, "gRPC: it ended the connection");
    case TYPE_SETTINGS:
        a->ack_settings |= !(flags & FLAG_ACK);
        break;
    case TYPE_PING:
        a->ack_ping = !(flags & FLAG_ACK) && len == sizeof(a->ping);
        if (a->ack_ping)
            memcpy(a->ping, data, sizeof(a->ping));
        break;
    default:
        break;
    }
    return rv < 0 ? rv : judge(a, err);
}

int grpc_take(struct grpc_answer *a, const void *data, size_t len, struct err *err)
{
    const unsigned char *at = data;
    for (;;) {
        size_t want = FRAME_HEADER;
        const unsigned char *b = a->buffered;
        if (a->buffered_n >= FRAME_HEADER)
            want += (size_t)b[0] << 16 | (size_t)b[1] << 8 | b[2];
        if (want > FRAME_HEADER + FRAME_MAX)
            return err_set(err, ERR_FAILED, "gRPC: it does not speak HTTP/2 in the clear");
        size_t n = want - a->buffered_n < len ? want - a->buffered_n : len;
        memcpy(a->buffered + a->buffered_n, at, n);
        a->buffered_n += n;
        at += n;
        len -= n;
        if (a->buffered_n < want)
            return 0;
        if (want == FRAME_HEADER && (b[0] || b[1] || b[2]))
            continue; /* now its length is known */
        unsigned stream =
            (unsigned)(b[5] & 0x7f) << 24 | (unsigned)b[6] << 16 | (unsigned)b[7] << 8 | b[8];
        if (a->frames == 0 && b[3] != TYPE_SETTINGS)
            return err_set(err, ERR_FAILED, "gRPC: it does not speak HTTP/2 in the clear");
        a->buffered_n = 0;
        int rv = take_frame(a, b[3], b[4], stream, b + FRAME_HEADER, want - FRAME_HEADER, err);
        if (rv != 0)
            return rv;
    }
}
