/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that change stacks and services. */
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/propose.h"
#include "node/stackplan.h"

#include <stdlib.h>
#include <string.h>

/* Borrows everything from @r but the array of services, which the caller frees. */
static struct change_stack_deploy change_of(struct daemon *d, const struct deploy_request *r)
{
    struct change_stack_deploy change = {
        .name = r->name,
        .project = r->project,
        .adopt = r->adopt,
        .prune = r->prune,
        .services_n = r->services_n,
        .networks = r->networks,
        .networks_n = r->networks_n,
        .volumes = r->volumes,
        .volumes_n = r->volumes_n,
    };
    struct stack stack;
    if (store_find(d->store, TABLE_STACK, str_or_empty(r->name), &stack) == 0) {
        change.expected_revision = stack.revision;
        record_release(&stack_type, &stack);
    }
    change.services = mem_alloc(r->services_n, sizeof(*change.services));
    for (size_t i = 0; i < r->services_n; i++)
        change.services[i] =
            (struct deploy_service){.name = r->services[i].name, .spec = r->services[i].spec};
    return change;
}

struct deploying {
    struct api_call *call;
    char *stack;
    struct deploy_reply reply; /* only what stays is filled in yet */
};

static bool is_named(const struct deploy_request *r, const char *service)
{
    for (size_t i = 0; i < r->services_n; i++)
        if (str_equal(r->services[i].name, service))
            return true;
    return false;
}

/* The services of the stack that the file does not name. */
static void find_left(struct daemon *d, const struct deploy_request *r, struct deploy_reply *reply)
{
    struct service *services;
    size_t n;
    store_list(d->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    reply->left = mem_alloc(n, sizeof(char *));
    for (size_t i = 0; i < n && !r->prune; i++)
        if (str_equal(services[i].stack, r->name) && !services[i].removed &&
            !is_named(r, services[i].name))
            reply->left[reply->left_n++] = str_copy(services[i].name);
    record_free_list(&service_type, services, n);
}

static void on_deployed(void *arg, const struct change_result *result)
{
    struct deploying *w = arg;
    struct stack stack;
    if (result->err.code != 0) {
        api_fail(w->call, &result->err);
    } else {
        w->reply.index = result->index;
        if (store_find(w->call->daemon->store, TABLE_STACK, w->stack, &stack) == 0) {
            w->reply.revision = stack.revision;
            record_release(&stack_type, &stack);
        }
        api_reply(w->call, &w->reply);
    }
    record_release(&deploy_reply_type, &w->reply);
    free(w->stack);
    free(w);
}

void api_deploy(struct api_call *c, const void *request)
{
    const struct deploy_request *r = request;
    struct change_stack_deploy change = change_of(c->daemon, r);
    if (!api_may_change(c, CHANGE_STACK_DEPLOY, &change)) {
        free(change.services);
        return;
    }
    struct deploying *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->stack = str_copy(str_or_empty(r->name));
    find_left(c->daemon, r, &w->reply);
    propose_request(c->daemon->propose, &c->caller, CHANGE_STACK_DEPLOY, &change,
                    c->has_request_id ? c->request_id : NULL, c->begin, PROPOSE_TIMEOUT_MS,
                    on_deployed, w);
    free(change.services);
}

void api_plan(struct api_call *c, const void *request)
{
    struct err err = {0};
    struct plan_reply reply = {0};
    const struct deploy_request *r = request;
    if (!caller_sees(&c->caller, str_or_empty(r->name))) {
        api_fail_with(c, ERR_DENIED, "this token is for other stacks than '%.63s'",
                      str_or_empty(r->name));
        return;
    }
    struct change_stack_deploy change = change_of(c->daemon, r);
    int rv = stack_plan(c->daemon->store, &change, &reply, &err);
    free(change.services);
    if (rv < 0)
        api_fail(c, &err);
    else
        api_reply(c, &reply);
    record_release(&plan_reply_type, &reply);
}

void api_stack_remove(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct change_stack_remove change = {.name = r->name};
    api_propose(c, CHANGE_STACK_REMOVE, &change);
}

void api_scale(struct api_call *c, const void *request)
{
    const struct scale_request *r = request;
    struct object_name name;
    struct err err = {0};
    if (object_name_parse(r->name, &name, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    if (!name.service || name.slot != 0) {
        api_fail_with(c, ERR_INVALID, "'%.60s' is not a service: STACK.SERVICE is", r->name);
    } else {
        struct change_service_scale change = {
            .stack = name.stack, .service = name.service, .replicas = r->replicas};
        api_propose(c, CHANGE_SERVICE_SCALE, &change);
    }
    object_name_release(&name);
}
