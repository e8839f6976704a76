/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange - calls to other members from a thread that may block.
 *
 * A job asks one member or all of them, goes on asking while answers are on their way, and takes
 * the answers in the order they come:
 *
 *     struct exchange *x = exchange_open(all);
 *     exchange_ask(x, 3, tag, "blob.read", &type, &request, 10000);
 *     while ((answer = exchange_next(x, 100)))
 *         ...
 *     exchange_close(x);             what is still on its way is forgotten
 *
 * The calls go over the bus from the loop (forward.h). exchanges_new() and _free() are for the
 * loop's thread, all else is for one job's thread per exchange.
 */
#ifndef WHERRY_NODE_EXCHANGE_H
#define WHERRY_NODE_EXCHANGE_H

#include "base/err.h"
#include "store/record.h"

struct daemon;
struct exchange;
struct exchanges;

enum {
    EXCHANGE_NAME_MAX = 64,
};

/* What became of one call. */
struct exchange_answer {
    struct exchange_answer *next;
    int64_t from;                 /* the member that was asked */
    char name[EXCHANGE_NAME_MAX]; /* its name */
    bool same_machine;            /* it is of our operating system and architecture */
    uint64_t tag;                 /* as given to the call */
    struct err err;               /* code 0: the body is the answer */
    struct bytes body;
};

/* Begin: calls go out from the loop of the daemon. */
struct exchanges *exchanges_new(struct daemon *d);

/* End, when no exchange is open any more and the daemon forwards no calls. */
void exchanges_free(struct exchanges *all);

/* Begin to ask. */
struct exchange *exchange_open(struct exchanges *all);

/* Call @verb of member @to; @request is copied. Where @to is 0, all members that are connected and
 * no witnesses are called. Each call has one answer. */
void exchange_ask(struct exchange *x, int64_t to, uint64_t tag, const char *verb,
                  const struct record_type *type, const void *request, int64_t timeout_ms);

/* The next answer, which the caller frees; NULL when none came within @wait_ms, or none is on its
 * way any more. */
struct exchange_answer *exchange_next(struct exchange *x, int64_t wait_ms);

/* True while answers are on their way. */
bool exchange_is_open(struct exchange *x);

void exchange_answer_free(struct exchange_answer *answer);

/* Free @x; answers that still come go nowhere. */
void exchange_close(struct exchange *x);

#endif
