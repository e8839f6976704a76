/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup - scoped release of locals, and the assertion that is always on.
 *
 *     cleanup_free char *path = str_printf("%s/x", dir);   freed when it leaves scope
 *     return steal(&path);                                 or handed on
 */
#ifndef WHERRY_BASE_CLEANUP_H
#define WHERRY_BASE_CLEANUP_H

#include <stddef.h>

/* Abort with file and line when @expr is false: for preconditions and invariants, never for input.
 * Not compiled out in release builds. */
#define check(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))

/* Print what failed and abort. Called by check(). */
_Noreturn void check_failed(const char *expr, const char *file, int line);

/* Free *@p. For the cleanup attribute. */
void cleanup_free_fn(void *p);
/* Close *@fd if it is >= 0. For the cleanup attribute. */
void cleanup_close_fn(int *fd);

#define cleanup_free  __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fn)))

/* Return *@pp and leave NULL there. */
#define steal(pp)                                                                                  \
    __extension__({                                                                                \
        __typeof__(*(pp)) steal_value_ = *(pp);                                                    \
        *(pp) = NULL;                                                                              \
        steal_value_;                                                                              \
    })

/* Return the descriptor *@fd and leave -1 there. */
int steal_fd(int *fd);

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
