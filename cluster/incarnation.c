/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/incarnation.h"

#include <string.h>

static bool is_past(const struct incarnations *i, uint64_t candidate)
{
    for (size_t k = 0; k < i->past_n; k++)
        if (i->past[k] == candidate)
            return true;
    return false;
}

static void remember(struct incarnations *i, uint64_t incarnation)
{
    if (incarnation == 0 || is_past(i, incarnation))
        return;
    if (i->past_n == INCARNATION_PAST_MAX)
        memmove(i->past, i->past + 1, --i->past_n * sizeof(i->past[0]));
    i->past[i->past_n++] = incarnation;
}

static void forget(struct incarnations *i, uint64_t incarnation)
{
    size_t kept = 0;
    for (size_t k = 0; k < i->past_n; k++)
        if (i->past[k] != incarnation)
            i->past[kept++] = i->past[k];
    i->past_n = kept;
}

enum incarnation_verdict incarnation_met(const struct incarnations *i, uint64_t candidate,
                                         int64_t now_ms)
{
    if (i->current == candidate)
        return INCARNATION_ACCEPT;
    if (i->banned == candidate && now_ms < i->banned_until_ms)
        return INCARNATION_REFUSE;
    if (is_past(i, candidate) && now_ms - i->since_ms < INCARNATION_YOUNG_MS)
        return INCARNATION_PROVE;
    return INCARNATION_ASK;
}

void incarnation_ask(struct incarnations *i, uint64_t candidate, bool probing, const int64_t *asked,
                     size_t n, int64_t now_ms)
{
    i->inquiry = (struct inquiry){.candidate = candidate,
                                  .deadline_ms = now_ms + INCARNATION_ASK_MS,
                                  .probing = probing,
                                  .probe_until_ms = now_ms + INCARNATION_PROBE_MS};
    for (size_t k = 0; k < n && k < INCARNATION_ASKED_MAX; k++)
        i->inquiry.asked[i->inquiry.asked_n++].member = asked[k];
}

void incarnation_pong(struct incarnations *i)
{
    if (i->inquiry.candidate != 0 && i->inquiry.probing)
        i->inquiry.objected = true;
}

void incarnation_gone(struct incarnations *i)
{
    i->inquiry.probing = false;
}

void incarnation_answer(struct incarnations *i, int64_t from, uint64_t alive)
{
    struct inquiry *q = &i->inquiry;
    for (size_t k = 0; k < q->asked_n; k++) {
        if (q->asked[k].member != from)
            continue;
        q->asked[k].answered = true;
        q->objected |= alive != 0 && alive != q->candidate;
    }
}

enum incarnation_verdict incarnation_judge(const struct incarnations *i, int64_t now_ms,
                                           int64_t *ret_next_ms)
{
    const struct inquiry *q = &i->inquiry;
    if (q->objected)
        return INCARNATION_REFUSE;
    int64_t until = q->probing ? q->probe_until_ms : now_ms;
    for (size_t k = 0; k < q->asked_n; k++)
        if (!q->asked[k].answered && q->deadline_ms > until)
            until = q->deadline_ms;
    if (until <= now_ms)
        return INCARNATION_ACCEPT;
    *ret_next_ms = until;
    return INCARNATION_ASK;
}

void incarnation_accept(struct incarnations *i, uint64_t candidate, int64_t now_ms)
{
    if (i->current != candidate) {
        remember(i, i->current);
        i->current = candidate;
        i->since_ms = now_ms;
    }
    forget(i, candidate);
    i->inquiry = (struct inquiry){0};
}

static void shut_out(struct incarnations *i, uint64_t incarnation, int64_t until_ms)
{
    if (i->banned == incarnation && i->banned_until_ms > until_ms)
        return;
    i->banned = incarnation;
    i->banned_until_ms = until_ms;
}

void incarnation_refuse(struct incarnations *i, int64_t now_ms)
{
    shut_out(i, i->inquiry.candidate, now_ms + INCARNATION_REFUSED_MS);
    i->inquiry = (struct inquiry){0};
}

void incarnation_oust(struct incarnations *i, uint64_t elder, int64_t now_ms)
{
    uint64_t successor = i->current;
    incarnation_accept(i, elder, now_ms);
    /* It is no past one: it would come back as such. */
    forget(i, successor);
    shut_out(i, successor, now_ms + INCARNATION_BAN_MS);
    i->since_ms = now_ms - INCARNATION_YOUNG_MS;
}

bool incarnation_is_elder(const struct incarnations *i, uint64_t other, int64_t age_ms,
                          int64_t now_ms)
{
    return i->current != 0 && other != 0 && other != i->current && age_ms > now_ms - i->since_ms;
}

bool incarnation_yields(struct incarnations *i, uint64_t other, int64_t age_ms, int64_t now_ms)
{
    if (!incarnation_is_elder(i, other, age_ms, now_ms))
        return false;
    uint64_t younger = i->current;
    incarnation_accept(i, other, now_ms);
    forget(i, younger);
    shut_out(i, younger, now_ms + INCARNATION_BAN_MS);
    i->since_ms = now_ms - age_ms;
    return true;
}
