/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem - allocation that does not fail, and strings.
 *
 * Out of memory aborts the process: the shims keep the containers alive across its restart. Sizes
 * that come from outside are capped before they get here.
 */
#ifndef WHERRY_BASE_MEM_H
#define WHERRY_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory for @n objects of @size bytes. Free with free(). */
void *mem_alloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* Resize @p to @n objects of @size bytes; new bytes are not zeroed. */
void *mem_resize(void *p, size_t n, size_t size) __attribute__((returns_nonnull));

/* A copy of @len bytes at @p (at least one byte is allocated). */
void *mem_copy(const void *p, size_t len) __attribute__((returns_nonnull));

/* Set the allocator for a program that is small most of the time: one arena for all threads, and
 * what is large comes from the kernel and goes back to it. Before the first thread begins. */
void mem_tune(void);

/* Large blocks come and go in quick succession now, as in a transfer: from here to the next
 * mem_trim() free ones of up to 1 MiB are kept for the next, rather than have the kernel clear
 * pages for each anew, which costs more than all else that is done with them. What is kept is
 * bounded by what was in use at once. Any thread; cheap, call it for each. */
void mem_reuse(void);

/* True when mem_reuse() was called since this was last asked. */
bool mem_was_reused(void);

/* Give back to the kernel what a busy time left behind. Takes about a millisecond for 10 MB. */
void mem_trim(void);

/* A copy of @s; NULL gives NULL. */
char *str_copy(const char *s);

/* A new formatted string. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* True when both are NULL or both are equal. */
bool str_equal(const char *a, const char *b);

/* True when @s starts with @prefix. */
bool str_starts(const char *s, const char *prefix);

/* True when @s, which may be NULL, ends with @suffix. */
bool str_ends(const char *s, const char *suffix);

/* @s, or "" when it is NULL. */
const char *str_or_empty(const char *s);

/* Copy @s into @dst of @size bytes, cut if need be. Returns false when it was cut. */
bool str_fill(char *dst, size_t size, const char *s);

#endif
