/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear_check - is a history of concurrent operations linearizable?
 *
 * A history is what callers saw: when each operation began, when its answer came, what was written
 * or read. It is linearizable when every operation can be given one moment between the two at which
 * it happened at once (Herlihy and Wing, 1990). An operation whose answer was lost may have
 * happened at any time after it began, or never.
 *
 * Registers: the search of Wing and Gong (1993) with the memory of Lowe (2017): operations are
 * tried in the order in which they began; a set of done operations with a value that was tried
 * before is not tried again. Sets that only grow need no search, see linear_check_set().
 *
 * Pure functions.
 */
#ifndef WHERRY_TESTS_LINEAR_CHECK_H
#define WHERRY_TESTS_LINEAR_CHECK_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINEAR_NEVER INT64_MAX /* the answer did not come */

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED, /* it would take too long */
};

/* One operation on a register. A read without an answer says nothing: leave it out. */
struct linear_op {
    bool is_write;
    int64_t value;
    int64_t began, ended; /* LINEAR_NEVER: not known whether it was done */
};

enum {
    LINEAR_STATES_MAX = 1 << 20, /* remembered */
};

/* --- the search ------------------------------------------------------------------------------- */

/* A beginning or an end, in a list by time. */
struct linear_event {
    struct linear_event *next, *prev;
    struct linear_event *end; /* of a beginning */
    size_t op;
    int64_t at;
};

/* Sets of done operations with the value then, by hash. */
struct linear_memory {
    unsigned char *states; /* each is set_bytes and the value */
    size_t state_bytes, n, cap;
    uint32_t *slots; /* index + 1 */
    size_t slots_n;
};

static inline uint64_t linear_hash(const unsigned char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3;
    return h ^ h >> 29;
}

static inline size_t linear_slot(const struct linear_memory *m, const unsigned char *state)
{
    size_t at = linear_hash(state, m->state_bytes) & (m->slots_n - 1);
    while (m->slots[at] &&
           memcmp(m->states + (m->slots[at] - 1) * m->state_bytes, state, m->state_bytes) != 0)
        at = (at + 1) & (m->slots_n - 1);
    return at;
}

static inline void linear_grow(struct linear_memory *m)
{
    m->cap = m->cap ? 2 * m->cap : 64;
    m->states = mem_resize(m->states, m->cap, m->state_bytes);
    m->slots_n = 2 * m->cap;
    free(m->slots);
    m->slots = mem_alloc(m->slots_n, sizeof(*m->slots));
    for (size_t i = 0; i < m->n; i++)
        m->slots[linear_slot(m, m->states + i * m->state_bytes)] = (uint32_t)i + 1;
}

/* False when it was there. */
static inline bool linear_remember(struct linear_memory *m, const unsigned char *done, size_t bytes,
                                   int64_t value)
{
    if (m->n == m->cap)
        linear_grow(m);
    unsigned char *state = m->states + m->n * m->state_bytes;
    memcpy(state, done, bytes);
    memcpy(state + bytes, &value, sizeof(value));
    size_t at = linear_slot(m, state);
    if (m->slots[at])
        return false;
    m->slots[at] = (uint32_t)++m->n;
    return true;
}

static inline int linear_compare(const void *a, const void *b)
{
    const struct linear_event *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    /* At the same moment they overlap. */
    return (x->end == NULL) - (y->end == NULL);
}

/* All events in a list behind @head. Returns their memory. */
static inline struct linear_event *linear_events(const struct linear_op *ops, size_t n,
                                                 struct linear_event *head)
{
    struct linear_event *events = mem_alloc(2 * n + 1, sizeof(*events));
    struct linear_event *none = head, **end_of = mem_alloc(n + 1, sizeof(struct linear_event *));
    for (size_t i = 0; i < n; i++) {
        events[2 * i] = (struct linear_event){.op = i, .at = ops[i].began, .end = none};
        events[2 * i + 1] = (struct linear_event){.op = i, .at = ops[i].ended};
    }
    qsort(events, 2 * n, sizeof(*events), linear_compare);
    *head = (struct linear_event){0};
    struct linear_event *last = head;
    for (size_t i = 0; i < 2 * n; i++) {
        last->next = &events[i];
        events[i].prev = last;
        last = &events[i];
        if (!events[i].end)
            end_of[events[i].op] = &events[i];
    }
    for (size_t i = 0; i < 2 * n; i++)
        if (events[i].end)
            events[i].end = end_of[events[i].op];
    free(end_of);
    return events;
}

static inline void linear_unlink(struct linear_event *e)
{
    e->prev->next = e->next;
    if (e->next)
        e->next->prev = e->prev;
}

static inline void linear_relink(struct linear_event *e)
{
    e->prev->next = e;
    if (e->next)
        e->next->prev = e;
}

struct linear_step {
    struct linear_event *event;
    int64_t value; /* before */
};

/* Was @ops[@w], a write without an answer, seen by anybody who read after it began? */
static inline bool linear_was_seen(const struct linear_op *ops, size_t n, size_t w)
{
    for (size_t i = 0; i < n; i++)
        if (!ops[i].is_write && ops[i].value == ops[w].value && ops[i].ended >= ops[w].began)
            return true;
    return false;
}

static inline enum linear_verdict linear_search(const struct linear_op *ops, size_t n,
                                                int64_t value)
{
    size_t bytes = (n + 7) / 8, depth = 0, known = 0;
    struct linear_event head, *events = linear_events(ops, n, &head), *at = head.next;
    struct linear_memory memory = {.state_bytes = bytes + sizeof(value)};
    unsigned char *done = mem_alloc(bytes + 1, 1);
    struct linear_step *steps = mem_alloc(n + 1, sizeof(*steps));
    enum linear_verdict verdict = LINEAR_YES;
    for (size_t i = 0; i < n; i++)
        known += ops[i].ended != LINEAR_NEVER;
    while (known > 0 && verdict == LINEAR_YES) {
        const struct linear_op *op = &ops[at->op];
        unsigned char bit = (unsigned char)(1 << at->op % 8);
        if (!at->end) { /* an operation would have ended undone: the last step was wrong */
            if (depth == 0) {
                verdict = LINEAR_NO;
                break;
            }
            struct linear_step *step = &steps[--depth];
            at = step->event;
            value = step->value;
            done[at->op / 8] &= (unsigned char)~(1 << at->op % 8);
            known += ops[at->op].ended != LINEAR_NEVER;
            linear_relink(at->end);
            linear_relink(at);
            at = at->next;
            continue;
        }
        bool possible = op->is_write || op->value == value;
        if (possible) {
            done[at->op / 8] |= bit;
            possible = linear_remember(&memory, done, bytes, op->value);
            if (!possible)
                done[at->op / 8] &= (unsigned char)~bit;
        }
        if (memory.n >= LINEAR_STATES_MAX)
            verdict = LINEAR_UNDECIDED;
        if (!possible) {
            at = at->next;
            continue;
        }
        steps[depth++] = (struct linear_step){.event = at, .value = value};
        value = op->value;
        known -= op->ended != LINEAR_NEVER;
        linear_unlink(at);
        linear_unlink(at->end);
        at = head.next;
    }
    free(memory.states);
    free(memory.slots);
    free(done);
    free(steps);
    free(events);
    return verdict;
}

/* Is what was done with one register, which held @value before, linearizable? */
static inline enum linear_verdict linear_check_register(const struct linear_op *ops, size_t n,
                                                        int64_t value)
{
    struct linear_op *kept = mem_alloc(n + 1, sizeof(*kept));
    size_t kept_n = 0;
    /* A write that may not have been done and that nobody saw can be left out. */
    for (size_t i = 0; i < n; i++)
        if (ops[i].ended != LINEAR_NEVER || linear_was_seen(ops, n, i))
            kept[kept_n++] = ops[i];
    enum linear_verdict verdict = linear_search(kept, kept_n, value);
    free(kept);
    return verdict;
}

/* --- a set that only grows -------------------------------------------------------------------- */

/* One element that was added, or tried to be. */
struct linear_add {
    int64_t began, ended; /* LINEAR_NEVER: not known */
    bool refused;         /* for certain not added */
};

/* One look at all of the set: has[i] for element i. */
struct linear_look {
    const bool *has;
    int64_t began, ended;
};

static inline size_t linear_count(const struct linear_look *look, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += look->has[i];
    return count;
}

static inline bool linear_look_fits(const struct linear_add *adds, size_t n,
                                    const struct linear_look *look, char *why, size_t why_size)
{
    for (size_t i = 0; i < n; i++) {
        const struct linear_add *a = &adds[i];
        const char *what = NULL;
        if (look->has[i] && a->refused)
            what = "was refused and is there";
        else if (look->has[i] && a->began > look->ended)
            what = "is there before it was added";
        else if (!look->has[i] && !a->refused && a->ended < look->began)
            what = "was added and is not there";
        if (what) {
            snprintf(why, why_size,
                     "element %zu %s: tried from %.3f ms to %.3f ms, looked at from %.3f ms to "
                     "%.3f ms",
                     i, what, (double)a->began / 1e6, (double)a->ended / 1e6,
                     (double)look->began / 1e6, (double)look->ended / 1e6);
            return false;
        }
    }
    return true;
}

/* A look and how many elements it has. */
struct linear_counted {
    const struct linear_look *look;
    size_t count;
};

static inline int linear_by_count(const void *a, const void *b)
{
    size_t x = ((const struct linear_counted *)a)->count;
    size_t y = ((const struct linear_counted *)b)->count;
    return (x > y) - (x < y);
}

static inline bool linear_includes(const struct linear_look *more, const struct linear_look *less,
                                   size_t n, char *why, size_t why_size)
{
    for (size_t i = 0; i < n; i++)
        if (less->has[i] && !more->has[i]) {
            snprintf(why, why_size, "element %zu is in a look but not in one of as many or more",
                     i);
            return false;
        }
    return true;
}

/* Is what was done with the set linearizable? If not, @why says what is wrong. No search: each
 * element must be in all looks that began after it was added and in none that ended before it was
 * tried, of two looks one must include the other, and one that began after another had ended must
 * not have fewer. */
static inline bool linear_check_set(const struct linear_add *adds, size_t n,
                                    const struct linear_look *looks, size_t looks_n, char *why,
                                    size_t why_size)
{
    cleanup_free struct linear_counted *by = mem_alloc(looks_n + 1, sizeof(*by));
    for (size_t l = 0; l < looks_n; l++) {
        if (!linear_look_fits(adds, n, &looks[l], why, why_size))
            return false;
        by[l] = (struct linear_counted){&looks[l], linear_count(&looks[l], n)};
    }
    qsort(by, looks_n, sizeof(*by), linear_by_count);
    for (size_t l = 0; l + 1 < looks_n; l++)
        if (!linear_includes(by[l + 1].look, by[l].look, n, why, why_size))
            return false;
    for (size_t l = 0; l < looks_n; l++)
        for (size_t k = 0; k < l; k++)
            if (by[k].count < by[l].count && by[l].look->ended < by[k].look->began) {
                snprintf(why, why_size, "a look with %zu elements comes after one with %zu",
                         by[k].count, by[l].count);
                return false;
            }
    return true;
}

#endif
