/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t more)
{
    check(more < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    size_t need = b->len + more + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need)
            cap *= 2;
        b->data = mem_resize(b->data, cap, 1);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *p, size_t len)
{
    char *to = buf_reserve(b, len);
    if (len)
        memcpy(to, p, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    check(n >= 0);
    char *to = buf_reserve(b, (size_t)n);
    vsnprintf(to, (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

/* The length of the UTF-8 sequence at @s, or 0 when it is none (RFC 3629). */
static size_t utf8_len(const unsigned char *s)
{
    unsigned min;
    size_t n;
    unsigned cp;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] < 0xe0) {
        n = 2, min = 0x80, cp = s[0] & 0x1fU;
    } else if (s[0] >= 0xe0 && s[0] < 0xf0) {
        n = 3, min = 0x800, cp = s[0] & 0x0fU;
    } else if (s[0] >= 0xf0 && s[0] < 0xf5) {
        n = 4, min = 0x10000, cp = s[0] & 0x07U;
    } else {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (s[i] & 0x3fU);
    }
    return cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) ? 0 : n;
}

void buf_put_json(struct buf *b, const char *s)
{
    buf_putc(b, '"');
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        size_t n = utf8_len(p);
        if (n == 0) {
            buf_puts(b, "\\ufffd");
            p++;
        } else if (*p == '"' || *p == '\\') {
            buf_putc(b, '\\');
            buf_putc(b, (char)*p++);
        } else if (*p == '\n') {
            buf_puts(b, "\\n");
            p++;
        } else if (*p == '\t') {
            buf_puts(b, "\\t");
            p++;
        } else if (*p < 0x20 || *p == 0x7f) {
            buf_printf(b, "\\u%04x", *p++);
        } else {
            buf_append(b, p, n);
            p += n;
        }
    }
    buf_putc(b, '"');
}

void buf_put_u32(struct buf *b, unsigned v)
{
    for (int i = 0; i < 4; i++)
        buf_putc(b, (char)(v >> (8 * i) & 0xff));
}

void buf_put_u64(struct buf *b, unsigned long long v)
{
    for (int i = 0; i < 8; i++)
        buf_putc(b, (char)(v >> (8 * i) & 0xff));
}

void buf_consume(struct buf *b, size_t n)
{
    check(n <= b->len);
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

char *buf_take(struct buf *b)
{
    buf_reserve(b, 0);
    b->data[b->len] = '\0';
    char *s = b->data;
    *b = (struct buf)BUF_INIT;
    return s;
}
