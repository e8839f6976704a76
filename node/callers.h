/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callers - the calls of those who are not the machine itself, while they are answered.
 *
 * Who shows a good token gets in; a call that waits ends when its token is taken back, gets another
 * secret or is over, and so do the connections that showed it. A bad token is refused after a
 * while, longer the more often it came from there; few such refusals wait at a time, further ones
 * are closed without an answer. A token that was made a moment ago on another member may become
 * known in that while: then the call goes on.
 *
 * Without contact to a leader for CALLERS_STALE_MS nobody from elsewhere is served: this member
 * could not know which tokens were taken back. Loop thread.
 */
#ifndef WHERRY_NODE_CALLERS_H
#define WHERRY_NODE_CALLERS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_call;
struct call;
struct callers;
struct daemon;

enum {
    CALLERS_STALE_MS = 30000,
};

/* Begin: everything happens on the loop of the daemon. */
struct callers *callers_new(struct daemon *d);

/* End: refusals that wait are said now; @on_freed comes when nothing of it is on the loop any more
 * and its memory is gone. */
void callers_free(struct callers *callers, void (*on_freed)(void *arg), void *arg);

/* Who made @call, which came from elsewhere? 0: c->caller is filled in, and the call is watched
 * until callers_done(). ERR_UNAVAILABLE: nobody is served now, the call is still the caller's to
 * answer. ERR_DENIED: the token is bad, and the call is taken over; api_dispatch() follows if the
 * token turns out to be good. */
int callers_admit(struct callers *callers, struct api_call *c, const struct call *call,
                  struct err *err);

/* @c is answered. Fine when it is not watched. */
void callers_done(struct api_call *c);

/* @tables (1 << enum table) of the state changed. */
void callers_on_change(struct callers *callers, unsigned tables);

/* Where the members take calls, as wire_addresses_sum(). */
int64_t callers_members_sum(const struct callers *callers);

/* The addresses, "10.0.0.1:7401", by node id. The caller frees them and the array. */
void callers_addresses(struct daemon *d, char ***ret_addresses, size_t *ret_n);

#endif
