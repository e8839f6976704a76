/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growing run of bytes.
 *
 * Invariants: data is NULL or has room for cap bytes; len < cap whenever data is set, and data[len]
 * is 0, so that a buffer of text is a C string. A zeroed struct is an empty buffer (BUF_INIT).
 * Growing aborts when memory runs out; the caller caps what comes from outside.
 */
#ifndef WHERRY_BASE_BUF_H
#define WHERRY_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }

/* Free the bytes and leave an empty buffer. */
void buf_release(struct buf *b);
#define cleanup_buf __attribute__((cleanup(buf_release)))

/* Forget the content, keep the memory. */
void buf_reset(struct buf *b);

/* Make room for @more bytes after len. Returns the place of the first. */
char *buf_reserve(struct buf *b, size_t more);

/* Append @len bytes. */
void buf_append(struct buf *b, const void *p, size_t len);

/* Append a C string. */
void buf_puts(struct buf *b, const char *s);

/* Append one byte. */
void buf_putc(struct buf *b, char c);

/* Append formatted text. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As buf_printf with an argument list. */
void buf_vprintf(struct buf *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Append @s as a JSON string with its quotes (RFC 8259; bytes that are no UTF-8 become U+FFFD). */
void buf_put_json(struct buf *b, const char *s);

/* Append integers in little-endian order, as all disk formats here have them. */
void buf_put_u32(struct buf *b, unsigned v);
void buf_put_u64(struct buf *b, unsigned long long v);

/* Drop the first @n bytes. */
void buf_consume(struct buf *b, size_t n);

/* The content as a string that the caller frees; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *b);

#endif
