/* SPDX-License-Identifier: Apache-2.0 */
/* service.foresee: what scaling a service or draining a member would do. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/foresee.h"
#include "node/job.h"

#include <stdlib.h>
#include <string.h>

struct foreseeing {
    struct api_call *call;
    struct store *before;
    struct store *copy; /* the change is made in it */
    struct plan_reply reply;
    bool rests;
};

static void work(void *arg)
{
    struct foreseeing *f = arg;
    f->rests = foresee_tasks(f->before, f->copy, NULL, &f->reply);
    f->reply.changes = f->reply.items_n > 0;
}

/* A caller who sees some stacks only is told of those. */
static void hide_others(struct foreseeing *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->reply.items_n; i++) {
        struct plan_item *item = &f->reply.items[i];
        cleanup_free char *stack =
            str_printf("%.*s", (int)strcspn(item->object, "."), item->object);
        if (caller_sees(&f->call->caller, stack))
            f->reply.items[kept++] = *item;
        else
            record_release(&plan_item_type, item);
    }
    f->reply.items_n = kept;
}

static void done(void *arg)
{
    struct foreseeing *f = arg;
    hide_others(f);
    if (f->rests)
        api_reply(f->call, &f->reply);
    else
        api_fail_with(f->call, ERR_UNSUPPORTED,
                      "this would take too many steps to be foreseen; nothing was changed");
    record_release(&plan_reply_type, &f->reply);
    store_free(f->before);
    store_free(f->copy);
    free(f);
}

static int scale(struct api_call *c, struct store *copy, const struct dry_run_request *r,
                 struct err *err)
{
    struct object_name name;
    if (object_name_parse(r->name, &name, err) < 0)
        return err->code;
    struct change_service_scale change = {
        .stack = name.stack, .service = name.service, .replicas = r->replicas};
    int rv = 0;
    if (!name.service || name.slot || !caller_sees(&c->caller, name.stack))
        rv = err_set(err, ERR_NOTFOUND, "there is no service '%.130s' ('wherry ls' lists them)",
                     r->name);
    if (rv == 0)
        rv = foresee_apply(copy, clock_wall_ms(), CHANGE_SERVICE_SCALE, &change, err);
    object_name_release(&name);
    return rv;
}

static int drain(struct store *copy, const struct dry_run_request *r, struct err *err)
{
    struct node node;
    if (store_find(copy, TABLE_NODE, str_or_empty(r->name), &node) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no node '%.60s' ('wherry node ls' lists them)",
                       str_or_empty(r->name));
    struct change_node_update change = {
        .node_id = node.id, .set_availability = true, .node = {.availability = AVAILABLE_DRAIN}};
    record_release(&node_type, &node);
    return foresee_apply(copy, clock_wall_ms(), CHANGE_NODE_UPDATE, &change, err);
}

void api_service_foresee(struct api_call *c, const void *request)
{
    const struct dry_run_request *r = request;
    struct store *before = NULL, *copy = NULL;
    struct err err = {0};
    int rv = foresee_copy(c->daemon->store, &before, &err);
    if (rv == 0)
        rv = foresee_copy(c->daemon->store, &copy, &err);
    if (rv == 0 && str_equal(r->action, "scale"))
        rv = scale(c, copy, r, &err);
    else if (rv == 0 && str_equal(r->action, "drain"))
        rv = drain(copy, r, &err);
    else if (rv == 0)
        rv = err_set(&err, ERR_INVALID, "'%.40s' is nothing that can be foreseen",
                     str_or_empty(r->action));
    if (rv < 0) {
        api_fail(c, &err);
        if (before)
            store_free(before);
        if (copy)
            store_free(copy);
        return;
    }
    struct foreseeing *f = mem_alloc(1, sizeof(*f));
    *f = (struct foreseeing){.call = c, .before = before, .copy = copy};
    jobs_run(c->daemon->call_jobs, work, done, f);
}
