/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim/message.h"

#include <string.h>

static uint64_t get(const unsigned char *from, size_t n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | from[n];
    return v;
}

static void put(unsigned char *to, size_t n, uint64_t v)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        to[i] = (unsigned char)v;
}

static bool has_data(unsigned kind)
{
    return kind == SHIM_INPUT || kind == SHIM_OUTPUT;
}

bool shim_message_read(const void *packet, size_t len, struct shim_message *ret)
{
    const unsigned char *p = packet;
    if (len < SHIM_MESSAGE_HEADER || len > SHIM_MESSAGE_MAX)
        return false;
    unsigned kind = p[0];
    bool known =
        (kind >= SHIM_HELLO && kind <= SHIM_END) || (kind >= SHIM_WELCOME && kind <= SHIM_EXITED);
    if (!known || (len > SHIM_MESSAGE_HEADER && !has_data(kind)))
        return false;
    *ret = (struct shim_message){.kind = (enum shim_kind)kind,
                                 .version = p[1],
                                 .flags = p[2],
                                 .code = p[3],
                                 .rows = (uint16_t)get(p + 4, 2),
                                 .columns = (uint16_t)get(p + 6, 2),
                                 .offset = get(p + 8, 8),
                                 .other = get(p + 16, 8),
                                 .data = p + SHIM_MESSAGE_HEADER,
                                 .len = len - SHIM_MESSAGE_HEADER};
    return true;
}

void shim_message_header(const struct shim_message *m, unsigned char packet[SHIM_MESSAGE_HEADER])
{
    packet[0] = (unsigned char)m->kind;
    packet[1] = m->version;
    packet[2] = m->flags;
    packet[3] = m->code;
    put(packet + 4, 2, m->rows);
    put(packet + 6, 2, m->columns);
    put(packet + 8, 8, m->offset);
    put(packet + 16, 8, m->other);
}

int shim_frames_next(struct shim_frames *f, const unsigned char **data, size_t *len,
                     const unsigned char **ret_piece, size_t *ret_len)
{
    while (f->left == 0) {
        size_t want = SHIM_FRAME_HEADER - f->header_len;
        size_t n = *len < want ? *len : want;
        if (n > 0)
            memcpy(f->header + f->header_len, *data, n);
        f->header_len += n;
        *data += n;
        *len -= n;
        if (f->header_len < SHIM_FRAME_HEADER)
            return 0;
        f->left = (size_t)get(f->header + 1, 3);
        f->header_len = 0;
        if (f->header[0] < 1 || f->header[0] > 2 || f->left == 0 || f->left > SHIM_FRAME_MAX) {
            f->left = 0;
            return -1;
        }
    }
    if (*len == 0)
        return 0;
    *ret_piece = *data;
    *ret_len = *len < f->left ? *len : f->left;
    f->left -= *ret_len;
    *data += *ret_len;
    *len -= *ret_len;
    return f->header[0];
}
