/* SPDX-License-Identifier: Apache-2.0 */
/*
 * incarnation - which process speaks for a member, when there may be two (a cloned disk).
 *
 * Every start of a daemon draws a random number, its incarnation. A member is spoken for by one
 * incarnation at a time, the current one: raft would be unsafe with two, for each could vote. The
 * rules, for one peer as another member sees it:
 *
 *  - Another incarnation takes the place of the current one only when that one is dead as far as
 *    anybody can tell: it does not answer a ping here, and none of the other members we reach has a
 *    living connection with an incarnation but the new one. A restarted member is let in within
 *    one round trip: its old connections were closed by its kernel.
 *  - One that was replaced and comes back, alive, proves that there are two. If its successor is
 *    young (YOUNG_MS) the elder stays and the successor is shut out for a while; else as above.
 *  - Two members that find that they hold different ones after they were parted keep the elder.
 *
 * Pure functions on plain data: no clock, no connection. Times are of one clock, in ms.
 */
#ifndef WHERRY_CLUSTER_INCARNATION_H
#define WHERRY_CLUSTER_INCARNATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INCARNATION_PAST_MAX = 8,
    INCARNATION_ASKED_MAX = 64,
    INCARNATION_PROBE_MS = 1500, /* for a pong */
    INCARNATION_ASK_MS = 2000,   /* for the others' answers, who may probe themselves */
    INCARNATION_YOUNG_MS = 60000,
    INCARNATION_BAN_MS = 60000,
    INCARNATION_REFUSED_MS = 2000,
};

/* What another member said of a peer. */
struct incarnation_asked {
    int64_t member;
    bool answered;
};

/* Whether @candidate may become the current one. */
struct inquiry {
    uint64_t candidate; /* 0: no inquiry */
    int64_t deadline_ms;
    bool probing; /* the current one was pinged */
    int64_t probe_until_ms;
    bool objected; /* somebody has a living connection with another one */
    struct incarnation_asked asked[INCARNATION_ASKED_MAX];
    size_t asked_n;
};

struct incarnations {
    uint64_t current; /* 0: none was met */
    int64_t since_ms; /* when it became the current one */
    uint64_t past[INCARNATION_PAST_MAX];
    size_t past_n;
    uint64_t banned;
    int64_t banned_until_ms;
    struct inquiry inquiry;
};

enum incarnation_verdict {
    INCARNATION_ACCEPT,
    INCARNATION_REFUSE,
    INCARNATION_ASK,   /* begin an inquiry, or wait for the one under way */
    INCARNATION_PROVE, /* it was replaced lately: if it answers a ping, incarnation_oust() */
};

/* @candidate, not 0, said hello. */
enum incarnation_verdict incarnation_met(const struct incarnations *i, uint64_t candidate,
                                         int64_t now_ms);

/* Begin an inquiry on behalf of @candidate: the current one was pinged if @probing, and the @n
 * members in @asked (at most INCARNATION_ASKED_MAX of them count) were asked. */
void incarnation_ask(struct incarnations *i, uint64_t candidate, bool probing, const int64_t *asked,
                     size_t n, int64_t now_ms);

/* The current one answered the ping; or its last connection is gone. */
void incarnation_pong(struct incarnations *i);
void incarnation_gone(struct incarnations *i);

/* Member @from has a living connection with incarnation @alive, 0: with none. */
void incarnation_answer(struct incarnations *i, int64_t from, uint64_t alive);

/* How the inquiry stands: ASK means that it goes on, until *@ret_next_ms at the latest. */
enum incarnation_verdict incarnation_judge(const struct incarnations *i, int64_t now_ms,
                                           int64_t *ret_next_ms);

/* @candidate is the current one from now on; the one before is past. Ends the inquiry. */
void incarnation_accept(struct incarnations *i, uint64_t candidate, int64_t now_ms);

/* The inquiry is over, its candidate was refused, and is without an inquiry for a moment more. */
void incarnation_refuse(struct incarnations *i, int64_t now_ms);

/* The past one @elder is alive: it is the current one again, and its successor shut out. */
void incarnation_oust(struct incarnations *i, uint64_t elder, int64_t now_ms);

/* Is @other, the current one elsewhere for @age_ms, another one than ours, and older? */
bool incarnation_is_elder(const struct incarnations *i, uint64_t other, int64_t age_ms,
                          int64_t now_ms);

/* Another member has had @other as the current one for @age_ms, and it is alive there: it was
 * asked, for a connection to a machine that died stands for seconds. True: ours is another and
 * younger, so it is @other from now on and ours is shut out. */
bool incarnation_yields(struct incarnations *i, uint64_t other, int64_t age_ms, int64_t now_ms);

#endif
