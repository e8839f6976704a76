/* SPDX-License-Identifier: Apache-2.0 */
/* What the allocator does with large blocks: for a small daemon, and while transfers go on. */
#include "base/mem.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    PIECE = 256 << 10,
    HUGE_BYTES = 4 << 20,
};

/* True when a block of @size bytes is one that the kernel maps for it alone. */
static bool is_mapped(size_t size)
{
    size_t before = mallinfo2().hblks;
    void *p = mem_resize(NULL, size, 1);
    bool mapped = mallinfo2().hblks > before;
    free(p);
    return mapped;
}

static void test_reuse_until_trim(void **state)
{
    (void)state;
    mem_reuse(); /* not tuned: the allocator of a short program is left alone */
    assert_true(mem_was_reused());
    assert_false(mem_was_reused());
    mem_tune();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their allocator is another one */
#endif
    assert_true(is_mapped(PIECE));
    mem_reuse();
    assert_true(mem_was_reused());
    assert_false(is_mapped(PIECE));
    assert_true(is_mapped(HUGE_BYTES));
    mem_trim();
    assert_false(mem_was_reused());
    assert_true(is_mapped(PIECE));
    mem_reuse();
    assert_false(is_mapped(PIECE));
    mem_trim();
}

/* What was kept goes back with the trim: the end of the heap is small again. */
static void test_trim_gives_back(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    void *pieces[16];
    mem_tune();
    mem_reuse();
    for (size_t i = 0; i < 16; i++)
        pieces[i] = mem_resize(NULL, PIECE, 1);
    for (size_t i = 0; i < 16; i++)
        free(pieces[i]);
    assert_true(mallinfo2().keepcost >= (size_t)16 * PIECE);
    mem_trim();
    assert_true(mallinfo2().keepcost < PIECE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse_until_trim),
        cmocka_unit_test(test_trim_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
