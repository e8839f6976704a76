/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elsewhere - a call that another member is to answer, because its caller named that one.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_ELSEWHERE_H
#define WHERRY_NODE_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>

struct api_call;

/* True when @node names another member: @c was sent on to it with @request, or answered with why
 * not, and the caller of this does no more. False: it is for this member ("" or its own name, or it
 * was sent here by another). The verb needs VERB_MEMBERS. @wait_ms is how long the other may take.
 */
bool call_elsewhere(struct api_call *c, const char *node, const void *request, int64_t wait_ms);

#endif
