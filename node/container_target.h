/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_target - which container a call is about, and where it is.
 *
 * A task's name leads to the member that has the task, whichever member is called; a node's name
 * in the request leads there; everything else is looked for here. A call for another member goes
 * there with its caller's token and is checked there again. A token that is for some stacks only
 * sees containers of those stacks' tasks, and none that belongs to no task. Loop thread.
 */
#ifndef WHERRY_NODE_CONTAINER_TARGET_H
#define WHERRY_NODE_CONTAINER_TARGET_H

#include <stdbool.h>
#include <stdint.h>

struct api_call;
struct daemon;
struct err;

struct container_target {
    char id[40];    /* the container's */
    char name[200]; /* of its task, "shop.web.2"; of one of no stack "web"; else "" */
};

/* Find the container of @request, which begins as struct container_request does. True: it is here,
 * *@ret says which, and @c is to be answered. False: @c is or will be answered: the call went on to
 * another member, waiting up to @timeout_ms for its reply, or there is no such container. */
bool container_route(struct api_call *c, const void *request, int64_t timeout_ms,
                     struct container_target *ret);

/* The same for a request that names no container: true when this is the member it is for. */
bool container_route_node(struct api_call *c, const void *request, int64_t timeout_ms);

/* Find the container @text on this member. False: @c was answered that there is none. */
bool container_find(struct api_call *c, const char *text, struct container_target *ret);

/* Fill @ret for container @id of this member. False: the caller of @c does not see it. */
bool container_target_of(struct api_call *c, const char *id, struct container_target *ret);

#endif
