/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/cleanup.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LARGE_BYTES = 64 << 10,
    REUSE_BYTES = 1 << 20,       /* mem_reuse(): larger blocks still come from the kernel */
    REUSE_KEEP_BYTES = 16 << 20, /* … and so much may be free at the end of the heap */
};

static atomic_bool tuned;   /* mem_tune() was called */
static atomic_bool reusing; /* mem_reuse() without mem_trim() since */
static atomic_bool reused;  /* mem_was_reused() */

_Noreturn void check_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "wherry: %s:%d: invariant broken: %s\n", file, line, expr);
    abort();
}

static _Noreturn void out_of_memory(void)
{
    static const char text[] = "wherry: out of memory\n";
    ssize_t rv = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)rv;
    abort();
}

void cleanup_free_fn(void *p)
{
    free(*(void **)p);
}

void cleanup_close_fn(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

void *mem_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
    void *q = reallocarray(p, n ? n : 1, size ? size : 1);
    if (!q)
        out_of_memory();
    return q;
}

void *mem_copy(const void *p, size_t len)
{
    void *q = mem_resize(NULL, len, 1);
    if (len)
        memcpy(q, p, len);
    return q;
}

static void set_large(int large_bytes, int keep_bytes)
{
    mallopt(M_MMAP_THRESHOLD, large_bytes);
    mallopt(M_TRIM_THRESHOLD, keep_bytes);
}

void mem_tune(void)
{
    /* Left alone each thread gets an arena that keeps what its largest job took, and the first
     * large block that is freed makes the allocator keep all that follow. */
    mallopt(M_ARENA_MAX, 1);
    set_large(LARGE_BYTES, LARGE_BYTES);
    atomic_store(&tuned, true);
}

void mem_reuse(void)
{
    atomic_store(&reused, true);
    if (atomic_load(&tuned) && !atomic_exchange(&reusing, true))
        set_large(REUSE_BYTES, REUSE_KEEP_BYTES);
}

bool mem_was_reused(void)
{
    return atomic_exchange(&reused, false);
}

void mem_trim(void)
{
    if (atomic_exchange(&reusing, false))
        set_large(LARGE_BYTES, LARGE_BYTES);
    malloc_trim(0);
}

char *str_copy(const char *s)
{
    return s ? mem_copy(s, strlen(s) + 1) : NULL;
}

char *str_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&s, fmt, args) < 0 || !s)
        out_of_memory();
    va_end(args);
    return s;
}

bool str_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t len = s ? strlen(s) : 0;
    size_t n = strlen(suffix);
    return len >= n && strcmp(s + len - n, suffix) == 0;
}

const char *str_or_empty(const char *s)
{
    return s ? s : "";
}

bool str_fill(char *dst, size_t size, const char *s)
{
    check(size > 0);
    size_t len = strlen(s);
    size_t n = len < size ? len : size - 1;
    memcpy(dst, s, n);
    dst[n] = '\0';
    return n == len;
}
