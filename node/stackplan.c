/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stackplan.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/foresee.h"
#include "node/pin_rules.h"
#include "store/spec_change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct plan_reply *reply, const char *action, char *object, const char *node,
                const char *detail)
{
    reply->items = mem_resize(reply->items, reply->items_n + 1, sizeof(*reply->items));
    reply->items[reply->items_n++] = (struct plan_item){.action = str_copy(action),
                                                        .object = object,
                                                        .node = str_copy(node),
                                                        .detail = str_copy(detail)};
}

/* The name is the same, the bits are others. */
static void describe_digest(const struct spec *a, const struct spec *b, struct buf *out)
{
    char digest[32];
    pin_short(str_or_empty(b->image_digest), digest);
    if (str_equal(a->image, b->image))
        buf_printf(out, "%simage %s now is %s", out->len ? ", " : "", b->image,
                   *str_or_empty(b->image_digest) ? digest : "what each node finds");
}

/* "command" and "command_set", which says that there is one, are one thing, and are neighbours. */
static void add_name(struct buf *out, const char *name)
{
    static const char set[] = "_set";
    size_t len = strlen(name);
    if (len > strlen(set) && strcmp(name + len - strlen(set), set) == 0)
        len -= strlen(set);
    bool said = out->len >= len && memcmp(out->data + out->len - len, name, len) == 0 &&
                (out->len == len || out->data[out->len - len - 1] == ' ');
    if (!said)
        buf_printf(out, "%s%.*s", out->len ? ", " : "", (int)len, name);
}

/* Names of the fields in which two records differ, "image, environment"; of the options of a
 * container each by its own. */
static void differences(const struct record_type *type, const void *a, const void *b,
                        struct buf *out)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        if (record_field_equal(f, a, b))
            continue;
        if (type == &spec_type && strcmp(f->name, "image_digest") == 0)
            describe_digest(a, b, out);
        else if (f->type == &container_options_type)
            differences(f->type, (const char *)a + f->offset, (const char *)b + f->offset, out);
        else
            add_name(out, f->name);
    }
}

void spec_differences(const struct spec *a, const struct spec *b, struct buf *out)
{
    differences(&spec_type, a, b, out);
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
        differences(&spec_type, &old->spec, &new->spec, &changed);
        if (spec_change(&old->spec, &new->spec) < SPEC_REPLACE)
            buf_puts(&changed, "; no task is replaced");
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

int stack_plan(struct store *store, const struct change_stack_deploy *deploy, bool brief,
               struct plan_reply *ret_reply, struct err *err)
{
    struct store *copy;
    int64_t now_ms = clock_wall_ms();
    int rv = foresee_copy(store, &copy, err);
    if (rv < 0)
        return rv;
    rv = foresee_apply(copy, now_ms, CHANGE_STACK_DEPLOY, deploy, err);
    if (rv == 0) {
        compare_services(ret_reply, store, copy, deploy);
        if (!brief)
            foresee_tasks(store, copy, deploy->name, ret_reply);
    }
    store_free(copy);
    return rv;
}
