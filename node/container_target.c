/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container_target.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/standalone.h"
#include "runtime/container.h"
#include "runtime/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tasks ------------------------------------------------------------------------------------ */

/* The task whose container is called @id; false when it is no task's. */
static bool task_of_id(struct daemon *d, const char *id, struct task *ret)
{
    char *end;
    if (!d->store || id[0] != 't' || strspn(id + 1, "0123456789") != strlen(id + 1) || !id[1] ||
        strlen(id) > 18)
        return false;
    long long number = strtoll(id + 1, &end, 10);
    return store_get(d->store, TABLE_TASK, number, ret) == 0;
}

/* Of the tasks in a slot that one is meant which is to run, else the newest. */
static bool is_better(const struct task *task, const struct task *best)
{
    bool runs = task->desired == DESIRED_RUN, best_runs = best->desired == DESIRED_RUN;
    return runs != best_runs ? runs : task->id > best->id;
}

/* The task called @text for the caller of @c. Copied to *@ret. */
static int find_task(struct api_call *c, const char *text, struct task *ret, struct err *err)
{
    struct object_name name;
    struct task *tasks = NULL;
    const struct task *best = NULL;
    size_t n = 0;
    bool several = false;
    int rv = object_name_parse(text, &name, err);
    if (rv < 0)
        return rv;
    if (c->daemon->store)
        store_list(c->daemon->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        const struct task *t = &tasks[i];
        if (!caller_sees(&c->caller, t->stack) || !str_equal(t->stack, name.stack) ||
            !str_equal(t->service, name.service) || (name.slot && t->slot != name.slot))
            continue;
        several |= best && best->slot != t->slot && t->desired == DESIRED_RUN &&
                   best->desired == DESIRED_RUN;
        if (!best || is_better(t, best))
            best = t;
    }
    if (several)
        rv = err_set(err, ERR_INVALID, "'%.80s' has several tasks: name one, as in %.80s.%lld",
                     text, text, (long long)best->slot);
    else if (best)
        record_copy(&task_type, best, ret);
    else
        rv = err_set(err, ERR_NOTFOUND, "there is no task '%.100s' ('wherry ps' lists them)", text);
    record_free_list(&task_type, tasks, n);
    object_name_release(&name);
    return rv;
}

bool container_target_of(struct api_call *c, const char *id, struct container_target *ret)
{
    struct task task;
    *ret = (struct container_target){0};
    str_fill(ret->id, sizeof(ret->id), id);
    if (standalone_is_id(id))
        str_fill(ret->name, sizeof(ret->name), id + strlen("c-"));
    if (!task_of_id(c->daemon, id, &task))
        return caller_sees(&c->caller, "");
    bool sees = caller_sees(&c->caller, task.stack);
    snprintf(ret->name, sizeof(ret->name), "%s.%s.%lld", task.stack, task.service,
             (long long)task.slot);
    record_release(&task_type, &task);
    return sees;
}

/* --- here ------------------------------------------------------------------------------------- */

static int not_here(struct api_call *c, const char *text, struct err *err)
{
    return err_set(err, ERR_NOTFOUND,
                   "there is no container '%.60s' on %.63s ('wherry container ls' lists them)",
                   text, c->daemon->name);
}

/* An id, or the beginning of one, among the containers of this machine. */
static int find_id(struct api_call *c, const char *text, struct container_target *ret,
                   struct err *err)
{
    char **ids = NULL;
    struct container_target found = {0}, one;
    size_t n = 0;
    int rv = container_list(c->daemon->runtime, &ids, err);
    if (rv < 0)
        return rv;
    for (char **id = ids; *id; id++) {
        bool named = standalone_is_id(*id) && strcmp(*id + strlen("c-"), text) == 0;
        bool whole = named || strcmp(*id, text) == 0;
        if ((!named && !str_starts(*id, text)) || !container_target_of(c, *id, &one))
            continue;
        found = one;
        n = whole ? 1 : n + 1;
        if (whole)
            break;
    }
    image_strings_free(ids);
    if (n > 1)
        return err_set(err, ERR_INVALID, "%zu containers begin with '%.60s': give more of the id",
                       n, text);
    if (n == 0)
        return not_here(c, text, err);
    *ret = found;
    return 0;
}

static int find_here(struct api_call *c, const char *text, struct container_target *ret,
                     struct err *err)
{
    struct task task = {0};
    char id[24];
    if (!c->daemon->runtime)
        return err_set(err, ERR_UNSUPPORTED, "%.63s is a witness and has no containers",
                       c->daemon->name);
    if (!*text)
        return err_set(err, ERR_INVALID, "no container was named");
    if (!strchr(text, '.'))
        return find_id(c, text, ret, err);
    int rv = find_task(c, text, &task, err);
    if (rv < 0)
        return rv;
    snprintf(id, sizeof(id), "t%lld", (long long)task.id);
    bool here = task.node_id == c->daemon->id;
    record_release(&task_type, &task);
    if (!here || !container_target_of(c, id, ret))
        return not_here(c, text, err);
    return 0;
}

/* --- there ------------------------------------------------------------------------------------ */

static void on_forwarded(void *arg, const struct err *err, const struct reply *reply)
{
    struct api_call *c = arg;
    const struct record_type *type = c->verb->reply;
    struct err remote = {0};
    if (err->code != 0) {
        api_fail(c, err);
        return;
    }
    void *record = mem_alloc(1, type->size);
    if (reply_get_err(reply, &remote) < 0 ||
        record_decode(type, reply->body.data, reply->body.len, false, record, &remote) < 0)
        api_fail(c, &remote);
    else {
        api_reply(c, record);
        record_release(type, record);
    }
    free(record);
}

static void forward_to(struct api_call *c, int64_t node, const void *request, int64_t timeout_ms)
{
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(c->verb->request, request, &body);
    struct call call = {.verb = (char *)(uintptr_t)c->verb->name,
                        .token = c->caller.secret,
                        .body = {(unsigned char *)body.data, body.len}};
    forward_call(c->daemon->forward, node, &call, timeout_ms, on_forwarded, c);
}

static int find_node(struct daemon *d, const char *name, int64_t *ret_id, struct err *err)
{
    struct node node;
    char *end = NULL;
    if (str_equal(d->name, name)) {
        *ret_id = d->id;
        return 0;
    }
    int rv = d->store ? store_find(d->store, TABLE_NODE, name, &node) : ERR_NOTFOUND;
    if (rv < 0 && d->store && name[0] == 'n' && name[1]) {
        long long id = strtoll(name + 1, &end, 10);
        rv = *end ? rv : store_get(d->store, TABLE_NODE, id, &node);
    }
    if (rv < 0)
        return err_set(err, ERR_NOTFOUND, "there is no node '%.80s' ('wherry node ls' lists them)",
                       name);
    *ret_id = node.id;
    record_release(&node_type, &node);
    return 0;
}

/* The member that @r is for. */
static int find_member(struct api_call *c, const struct container_request *r, int64_t *ret_id,
                       struct err *err)
{
    struct task task = {0};
    const char *text = str_or_empty(r->container);
    *ret_id = c->daemon->id;
    if (c->from != 0) /* who forwarded it knows */
        return 0;
    if (*str_or_empty(r->node))
        return find_node(c->daemon, r->node, ret_id, err);
    bool found = false;
    if (strchr(text, '.')) {
        int rv = find_task(c, text, &task, err);
        if (rv < 0)
            return rv;
        found = true;
    } else if (task_of_id(c->daemon, text, &task)) {
        found = true;
    }
    if (found)
        *ret_id = task.node_id;
    record_release(&task_type, &task);
    return 0;
}

/* True: this is the member. */
static bool route(struct api_call *c, const void *request, int64_t timeout_ms)
{
    int64_t node;
    struct err err;
    if (find_member(c, request, &node, &err) < 0) {
        api_fail(c, &err);
        return false;
    }
    if (node == c->daemon->id)
        return true;
    forward_to(c, node, request, timeout_ms);
    return false;
}

bool container_route_node(struct api_call *c, const void *request, int64_t timeout_ms)
{
    if (!route(c, request, timeout_ms))
        return false;
    if (c->daemon->runtime)
        return true;
    api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and has no containers", c->daemon->name);
    return false;
}

bool container_route(struct api_call *c, const void *request, int64_t timeout_ms,
                     struct container_target *ret)
{
    const struct container_request *r = request;
    struct err err;
    if (!route(c, request, timeout_ms))
        return false;
    if (find_here(c, str_or_empty(r->container), ret, &err) == 0)
        return true;
    api_fail(c, &err);
    return false;
}

bool container_find(struct api_call *c, const char *text, struct container_target *ret)
{
    struct err err;
    if (find_here(c, text, ret, &err) == 0)
        return true;
    api_fail(c, &err);
    return false;
}
