/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about containers that belong to no stack (cluster/api_standalone.h); what they do is in
 * standalone.c. */
#include "base/mem.h"
#include "node/api.h"
#include "node/container_target.h"
#include "node/daemon.h"
#include "node/standalone.h"

enum {
    FORWARD_MS = 60000,
    STOP_MAX_MS = 24 * 3600 * 1000,
};

void api_container_create(struct api_call *c, const void *request)
{
    const struct container_create_request *r = request;
    struct err err;
    if (standalone_check_name(str_or_empty(r->container), &err) < 0)
        api_fail(c, &err); /* before a dot in it leads to a task's machine */
    else if (container_route_node(c, request, FORWARD_MS))
        standalone_create(c->daemon->standalone, c, request);
}

void api_container_start(struct api_call *c, const void *request)
{
    struct container_target target;
    if (container_route(c, request, FORWARD_MS, &target))
        standalone_begin(c->daemon->standalone, c, target.id);
}

void api_container_stop(struct api_call *c, const void *request)
{
    const struct container_stop_request *r = request;
    struct container_target target;
    int64_t grace = r->grace_ms > 0 && r->grace_ms < STOP_MAX_MS ? r->grace_ms : 0;
    if (container_route(c, request, FORWARD_MS + grace, &target))
        standalone_end(c->daemon->standalone, c, target.id, r);
}

void api_container_remove(struct api_call *c, const void *request)
{
    const struct container_remove_request *r = request;
    struct container_target target;
    if (container_route(c, request, FORWARD_MS, &target))
        standalone_remove(c->daemon->standalone, c, target.id, r->force);
}

void api_container_idle(struct api_call *c, const void *request)
{
    if (container_route_node(c, request, FORWARD_MS))
        standalone_idle(c->daemon->standalone, c);
}
