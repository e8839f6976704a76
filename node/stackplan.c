/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stackplan.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/leader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANGE_ROOM = 64, /* what a batch needs besides its changes */
};

/* A copy of @store with @deploy applied. */
static int apply_to_copy(struct store *store, const struct change_stack_deploy *deploy,
                         struct store **ret_copy, struct err *err)
{
    cleanup_buf struct buf state = BUF_INIT;
    cleanup_buf struct buf encoded = BUF_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results = NULL;
    size_t n = 0;
    struct change change = {.kind = CHANGE_STACK_DEPLOY, .body = (void *)(uintptr_t)deploy};
    struct store *copy = store_new();
    store_snapshot(store, &state);
    change_encode(&change, &encoded);
    batch_encode(clock_wall_ms(), &encoded, 1, &batch);
    int rv = 0;
    if (encoded.len > BATCH_BYTES_MAX - CHANGE_ROOM)
        rv = err_set(err, ERR_TOOBIG, "the change is larger than one entry may be (1 MiB)");
    if (rv == 0)
        rv = store_restore(copy, state.data, state.len, err);
    if (rv == 0)
        rv = store_apply(copy, store_index(copy) + 1, batch.data, batch.len, &results, &n, err);
    if (rv == 0 && results[0].err.code != 0) {
        *err = results[0].err;
        rv = err->code;
    }
    free(results);
    if (rv < 0)
        store_free(copy);
    else
        *ret_copy = copy;
    return rv;
}

static void add(struct plan_reply *reply, const char *action, char *object, const char *node,
                const char *detail)
{
    reply->items = mem_resize(reply->items, reply->items_n + 1, sizeof(*reply->items));
    reply->items[reply->items_n++] = (struct plan_item){.action = str_copy(action),
                                                        .object = object,
                                                        .node = str_copy(node),
                                                        .detail = str_copy(detail)};
}

/* Names of the fields in which two specs differ, "image, environment". */
static void differences(const struct spec *a, const struct spec *b, struct buf *out)
{
    for (size_t i = 0; i < spec_type.fields_n; i++) {
        struct record_type one = {
            .name = "field", .size = spec_type.size, .fields = &spec_type.fields[i], .fields_n = 1};
        if (!record_equal(&one, a, b))
            buf_printf(out, "%s%s", out->len ? ", " : "", spec_type.fields[i].name);
    }
}

static bool is_named(const struct change_stack_deploy *deploy, const char *service)
{
    for (size_t i = 0; i < deploy->services_n; i++)
        if (str_equal(deploy->services[i].name, service))
            return true;
    return false;
}

static void compare_service(struct plan_reply *reply, const struct change_stack_deploy *deploy,
                            const struct service *old, const struct service *new)
{
    char *object = str_printf("%s.%s", new->stack, new->name);
    char detail[64];
    if (!old || old->removed) {
        add(reply, "create", object, "", new->spec.image);
    } else if (new->removed) {
        add(reply, "remove", object, "", "");
    } else if (!is_named(deploy, new->name)) {
        add(reply, "leave", object, "", "not in the file; --prune removes it");
        return;
    } else if (new->revision != old->revision) {
        cleanup_buf struct buf changed = BUF_INIT;
        differences(&old->spec, &new->spec, &changed);
        add(reply, "update", object, "", changed.data);
    } else if (new->spec.replicas != old->spec.replicas) {
        snprintf(detail, sizeof(detail), "%lld -> %lld replicas", (long long)old->spec.replicas,
                 (long long)new->spec.replicas);
        add(reply, "scale", object, "", detail);
    } else if (new->modified_index != old->modified_index) {
        add(reply, "update", object, "", "settings that restart nothing");
    } else {
        add(reply, "keep", object, "", "");
        return;
    }
    reply->changes = true;
}

static void compare_services(struct plan_reply *reply, struct store *old, struct store *new,
                             const struct change_stack_deploy *deploy)
{
    struct service *services;
    size_t n;
    store_list(new, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n; i++) {
        struct service before;
        if (!str_equal(services[i].stack, deploy->name))
            continue;
        bool known = store_get(old, TABLE_SERVICE, services[i].id, &before) == 0;
        compare_service(reply, deploy, known ? &before : NULL, &services[i]);
        if (known)
            record_release(&service_type, &before);
    }
    record_free_list(&service_type, services, n);
}

static void add_step(struct plan_reply *reply, struct store *store, const struct step *step,
                     const char *stack)
{
    struct service service;
    struct task task = {0};
    struct node node = {0};
    int64_t slot = step->slot;
    int64_t node_id = step->node_id;
    int64_t service_id = step->service_id;
    if (step->kind != STEP_CREATE && step->kind != STEP_END)
        return;
    if (step->kind == STEP_END) {
        if (store_get(store, TABLE_TASK, step->task_id, &task) < 0)
            return;
        service_id = task.service_id;
        slot = task.slot;
        node_id = task.node_id;
    }
    if (store_get(store, TABLE_SERVICE, service_id, &service) == 0) {
        store_get(store, TABLE_NODE, node_id, &node);
        if (str_equal(service.stack, stack))
            add(reply, step->kind == STEP_CREATE ? "place" : "stop",
                str_printf("%s.%s.%lld", service.stack, service.name, (long long)slot),
                str_or_empty(node.name), step->reason);
        if (node.id)
            record_release(&node_type, &node);
        record_release(&service_type, &service);
    }
    if (task.id)
        record_release(&task_type, &task);
}

static void add_waiting(struct plan_reply *reply, struct store *store, const struct unplaced *u,
                        const char *stack)
{
    struct service service;
    if (store_get(store, TABLE_SERVICE, u->service_id, &service) < 0)
        return;
    if (str_equal(service.stack, stack)) {
        cleanup_buf struct buf why = BUF_INIT;
        unplaced_explain(u, &why);
        add(reply, "wait",
            str_printf("%s.%s.%lld", service.stack, service.name, (long long)u->slot), "",
            why.data);
    }
    record_release(&service_type, &service);
}

int stack_plan(struct store *store, const struct change_stack_deploy *deploy,
               struct plan_reply *ret_reply, struct err *err)
{
    struct store *copy;
    struct view view;
    struct plan plan = {0};
    int rv = apply_to_copy(store, deploy, &copy, err);
    if (rv < 0)
        return rv;
    compare_services(ret_reply, store, copy, deploy);
    view_read(copy, clock_wall_ms(), &view);
    scheduler_plan(&view, &plan);
    for (size_t i = 0; i < plan.steps_n; i++)
        add_step(ret_reply, copy, &plan.steps[i], deploy->name);
    for (size_t i = 0; i < plan.unplaced_n; i++)
        add_waiting(ret_reply, copy, &plan.unplaced[i], deploy->name);
    plan_release(&plan);
    view_release(&view);
    store_free(copy);
    return 0;
}
