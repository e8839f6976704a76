/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/blob_wants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum {
    MEMBERS = 4,
};

static void states(void **state)
{
    (void)state;
    struct blob_wants *w = blob_wants_new();
    int64_t first = blob_ranks_before(DIGEST, 1, 2) ? 1 : 2;
    int64_t second = 3 - first;
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, true), BLOB_NOT_WANTED);
    blob_wants_begin(w, DIGEST);
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, false), BLOB_WAITING);
    assert_int_equal(blob_wants_claim(w, DIGEST), BLOB_CLAIMING);
    /* A question without a claim, or a claim of a lower rank, does not outbid. */
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, false), BLOB_CLAIMING);
    assert_int_equal(blob_wants_asked(w, DIGEST, first, second, true), BLOB_CLAIMING);
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, true), BLOB_WAITING);
    assert_false(blob_wants_win(w, DIGEST));
    blob_wants_claim(w, DIGEST);
    assert_true(blob_wants_win(w, DIGEST));
    /* One that fetches is not outbid. */
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, true), BLOB_FETCHING);
    /* A second pull of this machine joins it. */
    blob_wants_begin(w, DIGEST);
    assert_int_equal(blob_wants_claim(w, DIGEST), BLOB_FETCHING);
    assert_true(blob_wants_win(w, DIGEST));
    blob_wants_end(w, DIGEST, true);
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, false), BLOB_FETCHING);
    blob_wants_end(w, DIGEST, true);
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, false), BLOB_NOT_WANTED);
    blob_wants_begin(w, DIGEST);
    blob_wants_claim(w, DIGEST);
    blob_wants_yield(w, DIGEST);
    assert_int_equal(blob_wants_asked(w, DIGEST, second, first, false), BLOB_WAITING);
    blob_wants_end(w, DIGEST, false);
    blob_wants_free(w);
}

static void ranks_are_an_order_and_spread(void **state)
{
    (void)state;
    int first[MEMBERS + 1] = {0};
    for (int i = 0; i < 1000; i++) {
        char digest[80];
        unsigned char hash[DIGEST_BYTES];
        digest_of(&i, sizeof(i), hash);
        memcpy(digest, "sha256:", 7);
        hex_encode(hash, sizeof(hash), digest + 7);
        int64_t best = 1;
        for (int64_t a = 1; a <= MEMBERS; a++) {
            for (int64_t b = a + 1; b <= MEMBERS; b++)
                assert_true(blob_ranks_before(digest, a, b) != blob_ranks_before(digest, b, a));
            if (blob_ranks_before(digest, a, best))
                best = a;
        }
        first[best]++;
    }
    for (int64_t a = 1; a <= MEMBERS; a++)
        assert_in_range(first[a], 200, 300);
}

/* --- several members, whose questions and answers cross in any order ----------------------------
 */

struct member {
    int64_t id;
    struct blob_wants *wants;
    bool begun;
    bool decided;
    bool fetches;
    bool before_us; /* somebody is */
    int asked_n;    /* of the others */
    int order[MEMBERS];
};

/* One step of @m: it claims, asks one more of the others, or decides. */
static void step(struct member *all, struct member *m)
{
    if (!m->begun) {
        m->begun = true;
        blob_wants_begin(m->wants, DIGEST);
        blob_wants_claim(m->wants, DIGEST);
        return;
    }
    if (m->asked_n < MEMBERS) {
        struct member *other = &all[m->order[m->asked_n++]];
        if (other == m)
            return;
        enum blob_want want = blob_wants_asked(other->wants, DIGEST, other->id, m->id, true);
        m->before_us |= want == BLOB_FETCHING ||
                        (want == BLOB_CLAIMING && blob_ranks_before(DIGEST, other->id, m->id));
        return;
    }
    m->decided = true;
    if (m->before_us)
        blob_wants_yield(m->wants, DIGEST);
    else
        m->fetches = blob_wants_win(m->wants, DIGEST);
}

static void exactly_one_wins(void **state)
{
    (void)state;
    int winners[MEMBERS + 1] = {0};
    for (unsigned seed = 1; seed <= 20000; seed++) {
        struct member all[MEMBERS] = {0};
        int fetch = 0;
        srand(seed);
        for (int i = 0; i < MEMBERS; i++) {
            all[i].id = i + 1;
            all[i].wants = blob_wants_new();
            for (int k = 0; k < MEMBERS; k++)
                all[i].order[k] = (int)((unsigned)k + seed * (unsigned)(i + 1)) % MEMBERS;
        }
        for (int left = MEMBERS; left > 0;) {
            struct member *m = &all[rand() % MEMBERS];
            if (m->decided)
                continue;
            step(all, m);
            left -= m->decided;
        }
        for (int i = 0; i < MEMBERS; i++) {
            fetch += all[i].fetches;
            winners[all[i].id] += all[i].fetches;
            blob_wants_end(all[i].wants, DIGEST, all[i].fetches);
            blob_wants_free(all[i].wants);
        }
        if (fetch != 1)
            fail_msg("seed %u: %d members fetch", seed, fetch);
    }
    /* It is not always the same: the order decides too. */
    int different = 0;
    for (int i = 1; i <= MEMBERS; i++)
        different += winners[i] > 0;
    assert_true(different > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),
        cmocka_unit_test(ranks_are_an_order_and_spread),
        cmocka_unit_test(exactly_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
