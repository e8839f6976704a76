/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that change stacks and services. */
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/contents.h"
#include "node/daemon.h"
#include "node/foresee.h"
#include "node/job.h"
#include "node/pins.h"
#include "node/portcheck.h"
#include "node/propose.h"
#include "node/speccheck.h"
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
        .own_networks = r->own_networks,
        .own_networks_n = r->own_networks_n,
        .own_volumes = r->own_volumes,
        .own_volumes_n = r->own_volumes_n,
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

/* A deploy or a plan, while its images' digests are found out. */
struct deploying {
    struct api_call *call;
    struct deploy_request request; /* owned */
    int64_t expected_revision;     /* of the stack, when it was asked for */
    struct deploy_reply reply;     /* only what stays, and warnings, are filled in yet */
    struct content_adds adds;      /* versions of configs and secrets that it brings */
    size_t added;                  /* of them, so far */
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

static struct deploying *deploying_new(struct api_call *c, const struct deploy_request *r,
                                       int64_t expected_revision)
{
    struct deploying *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->expected_revision = expected_revision;
    record_copy(&deploy_request_type, r, &w->request);
    return w;
}

static void deploying_free(struct deploying *w)
{
    record_release(&deploy_request_type, &w->request);
    record_release(&deploy_reply_type, &w->reply);
    content_adds_release(&w->adds);
    free(w);
}

static char **copy_strings(char *const *strings, size_t n)
{
    char **copy = mem_alloc(n, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        copy[i] = str_copy(strings[i]);
    return copy;
}

/* --- deploy ----------------------------------------------------------------------------------- */

static void on_deployed(void *arg, const struct change_result *result)
{
    struct deploying *w = arg;
    struct stack stack;
    if (result->err.code != 0) {
        api_fail(w->call, &result->err);
    } else {
        w->reply.index = result->index;
        if (store_find(w->call->daemon->store, TABLE_STACK, str_or_empty(w->request.name),
                       &stack) == 0) {
            w->reply.revision = stack.revision;
            record_release(&stack_type, &stack);
        }
        api_reply(w->call, &w->reply);
    }
    deploying_free(w);
}

static void deploy(struct deploying *w)
{
    struct api_call *c = w->call;
    struct change_stack_deploy change = change_of(c->daemon, &w->request);
    change.expected_revision = w->expected_revision;
    propose_request(c->daemon->propose, &c->caller, CHANGE_STACK_DEPLOY, &change,
                    c->has_request_id ? c->request_id : NULL, c->begin, PROPOSE_TIMEOUT_MS,
                    on_deployed, w);
    free(change.services);
}

static void on_added(void *arg, const struct change_result *result);

/* What its configs and secrets are comes before what has them: alone, it is small. */
static void add_contents(struct deploying *w)
{
    struct api_call *c = w->call;
    if (w->added == w->adds.n)
        deploy(w);
    else
        propose_request(c->daemon->propose, &c->caller, CHANGE_CONTENT_ADD,
                        &w->adds.changes[w->added], NULL, 0, PROPOSE_TIMEOUT_MS, on_added, w);
}

static void on_added(void *arg, const struct change_result *result)
{
    struct deploying *w = arg;
    if (result->err.code != 0) {
        api_fail(w->call, &result->err);
        deploying_free(w);
        return;
    }
    w->added++;
    add_contents(w);
}

/* The images' digests are known: make it so. */
static void on_pinned(void *arg, const struct err *failed, char *const *warnings, size_t n)
{
    struct deploying *w = arg;
    struct api_call *c = w->call;
    struct err err = *failed;
    if (err.code == 0 && c->over)
        err_set(&err, ERR_CANCELED, "the call was cut");
    if (err.code != 0 || contents_resolve(c->daemon, &w->request, &w->adds, &err) < 0) {
        api_fail(c, &err);
        deploying_free(w);
        return;
    }
    w->reply.warnings = copy_strings(warnings, n);
    w->reply.warnings_n = n;
    add_contents(w);
}

/* False after the call failed for what no node could run. */
static bool may_run(struct api_call *c, const struct deploy_request *r)
{
    struct err err = {0};
    if (speccheck(r, &err) == 0)
        return true;
    api_fail(c, &err);
    return false;
}

static void on_ports(void *arg, const struct err *failed)
{
    struct deploying *w = arg;
    if (failed->code == 0) {
        pins_resolve(w->call->daemon, &w->request, true, on_pinned, w);
        return;
    }
    api_fail(w->call, failed);
    deploying_free(w);
}

void api_deploy(struct api_call *c, const void *request)
{
    const struct deploy_request *r = request;
    struct change_stack_deploy change = change_of(c->daemon, r);
    int64_t revision = change.expected_revision;
    bool may = api_may_change(c, CHANGE_STACK_DEPLOY, &change);
    free(change.services);
    if (!may || !may_run(c, r))
        return;
    struct deploying *w = deploying_new(c, r, revision);
    find_left(c->daemon, r, &w->reply);
    portcheck(c->daemon, &w->request, on_ports, w);
}

/* --- plan ------------------------------------------------------------------------------------- */

/* A plan that is being made on a thread of its own, of a copy of the state. */
struct planning {
    struct deploying *deploying;
    struct change_stack_deploy change; /* borrows from the request */
    struct store *state;
    struct plan_reply reply;
    struct err err;
};

static void work_plan(void *arg)
{
    struct planning *p = arg;
    const struct content_adds *adds = &p->deploying->adds;
    for (size_t i = 0; i < adds->n; i++)
        if (foresee_apply(p->state, store_time_ms(p->state), CHANGE_CONTENT_ADD, &adds->changes[i],
                          &p->err) < 0)
            return;
    stack_plan(p->state, &p->change, p->deploying->request.brief, &p->reply, &p->err);
}

static void done_plan(void *arg)
{
    struct planning *p = arg;
    struct api_call *c = p->deploying->call;
    if (p->err.code == 0)
        api_reply(c, &p->reply);
    else
        api_fail(c, &p->err);
    record_release(&plan_reply_type, &p->reply);
    store_free(p->state);
    free(p->change.services);
    deploying_free(p->deploying);
    free(p);
}

static void on_plan_pinned(void *arg, const struct err *failed, char *const *warnings, size_t n)
{
    struct deploying *w = arg;
    struct api_call *c = w->call;
    struct err err = *failed;
    struct store *state = NULL;
    if (err.code != 0 || contents_resolve(c->daemon, &w->request, &w->adds, &err) < 0 ||
        foresee_copy(c->daemon->store, &state, &err) < 0) {
        api_fail(c, &err);
        deploying_free(w);
        return;
    }
    struct planning *p = mem_alloc(1, sizeof(*p));
    *p = (struct planning){.deploying = w,
                           .change = change_of(c->daemon, &w->request),
                           .state = state,
                           .reply = {.warnings = copy_strings(warnings, n), .warnings_n = n}};
    jobs_run(c->daemon->call_jobs, work_plan, done_plan, p);
}

void api_plan(struct api_call *c, const void *request)
{
    const struct deploy_request *r = request;
    if (!caller_sees(&c->caller, str_or_empty(r->name))) {
        api_fail_with(c, ERR_DENIED, "this token is for other stacks than '%.63s'",
                      str_or_empty(r->name));
        return;
    }
    if (!may_run(c, r))
        return;
    /* Viewers have no member call whatever host they name. */
    bool ask = c->caller.trusted || c->caller.token.role != TOKEN_VIEWER;
    struct deploying *w = deploying_new(c, r, 0);
    pins_resolve(c->daemon, &w->request, ask, on_plan_pinned, w);
}

/* --- the rest --------------------------------------------------------------------------------- */

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
