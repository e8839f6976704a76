/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_scan.h"

/* What the first byte of a value says. */
struct head {
    enum {
        HEAD_BAD,
        HEAD_NIL,
        HEAD_UINT,
        HEAD_OTHER,
        HEAD_BYTES,
        HEAD_ARRAY,
        HEAD_MAP
    } kind;
    size_t len;     /* of the head itself */
    uint64_t value; /* the number, the bytes that follow, or the elements */
};

static uint64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* A head of one byte, followed by a number of @n bytes. */
static struct head numbered(const struct scan *scan, int kind, size_t n)
{
    if (scan->len < 1 + n)
        return (struct head){.kind = HEAD_BAD};
    struct head head = {.len = 1 + n, .value = big_endian(scan->data + 1, n)};
    head.kind = kind;
    return head;
}

static struct head fixed(int kind, uint64_t value)
{
    struct head head = {.len = 1, .value = value};
    head.kind = kind;
    return head;
}

static struct head read_head(const struct scan *scan)
{
    if (scan->len == 0)
        return (struct head){.kind = HEAD_BAD};
    unsigned char b = scan->data[0];
    if (b <= 0x7f)
        return fixed(HEAD_UINT, b);
    if (b <= 0x8f)
        return fixed(HEAD_MAP, b & 0x0fU);
    if (b <= 0x9f)
        return fixed(HEAD_ARRAY, b & 0x0fU);
    if (b <= 0xbf)
        return fixed(HEAD_OTHER, b & 0x1fU); /* a short string */
    if (b >= 0xe0)
        return fixed(HEAD_OTHER, 0); /* a small negative number */
    switch (b) {
    case 0xc0: /* nil */
        return fixed(HEAD_NIL, 0);
    case 0xc2: /* false, true */
    case 0xc3:
        return fixed(HEAD_OTHER, 0);
    case 0xc4: /* bytes */
    case 0xc5:
    case 0xc6:
        return numbered(scan, HEAD_BYTES, 1U << (b - 0xc4));
    case 0xca: /* floats */
        return fixed(HEAD_OTHER, 4);
    case 0xcb:
        return fixed(HEAD_OTHER, 8);
    case 0xcc: /* unsigned numbers */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return numbered(scan, HEAD_UINT, 1U << (b - 0xcc));
    case 0xd0: /* signed numbers */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return fixed(HEAD_OTHER, 1U << (b - 0xd0));
    case 0xd9: /* strings */
    case 0xda:
    case 0xdb:
        return numbered(scan, HEAD_OTHER, 1U << (b - 0xd9));
    case 0xdc: /* arrays */
    case 0xdd:
        return numbered(scan, HEAD_ARRAY, 2U << (b - 0xdc));
    case 0xde: /* maps */
    case 0xdf:
        return numbered(scan, HEAD_MAP, 2U << (b - 0xde));
    default: /* extension types and the byte that is never used */
        return (struct head){.kind = HEAD_BAD};
    }
}

static void advance(struct scan *scan, size_t n)
{
    scan->data += n;
    scan->len -= n;
}

static bool skip(struct scan *scan, int depth)
{
    struct head head = read_head(scan);
    if (head.kind == HEAD_BAD || depth > SCAN_DEPTH_MAX)
        return false;
    advance(scan, head.len);
    uint64_t elements = 0;
    if (head.kind == HEAD_ARRAY || head.kind == HEAD_MAP) {
        /* Each element takes a byte at least, so the loop ends with the data. */
        elements = head.kind == HEAD_MAP ? 2 * head.value : head.value;
    } else if (head.kind == HEAD_BYTES || head.kind == HEAD_OTHER) {
        if (head.value > scan->len)
            return false;
        advance(scan, (size_t)head.value);
    }
    if (elements > scan->len)
        return false;
    for (uint64_t i = 0; i < elements; i++)
        if (!skip(scan, depth + 1))
            return false;
    return true;
}

size_t scan_value(const void *data, size_t len)
{
    struct scan scan = {.data = data, .len = len};
    return skip(&scan, 1) ? len - scan.len : 0;
}

bool scan_array(struct scan *scan, size_t *ret_n)
{
    struct head head = read_head(scan);
    if (head.kind != HEAD_ARRAY || head.value > scan->len - head.len)
        return false;
    advance(scan, head.len);
    *ret_n = (size_t)head.value;
    return true;
}

bool scan_uint(struct scan *scan, uint64_t *ret)
{
    struct head head = read_head(scan);
    if (head.kind != HEAD_UINT)
        return false;
    advance(scan, head.len);
    *ret = head.value;
    return true;
}

bool scan_bytes(struct scan *scan, const unsigned char **ret_data, size_t *ret_len)
{
    struct head head = read_head(scan);
    if (head.kind != HEAD_BYTES || head.value > scan->len - head.len)
        return false;
    *ret_data = scan->data + head.len;
    *ret_len = (size_t)head.value;
    advance(scan, head.len + *ret_len);
    return true;
}

bool scan_nil(struct scan *scan)
{
    if (read_head(scan).kind != HEAD_NIL)
        return false;
    advance(scan, 1);
    return true;
}
