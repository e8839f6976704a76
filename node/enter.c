/* SPDX-License-Identifier: Apache-2.0 */
#include "node/enter.h"

#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"

#include <stdlib.h>

static void fail_gone(struct api_call *c, int64_t task_id)
{
    api_fail_with(c, ERR_NOTFOUND, "task %lld is gone", (long long)task_id);
}

bool enter_find_task(struct api_call *c, int64_t id, struct task *ret)
{
    if (!c->daemon->store || store_get(c->daemon->store, TABLE_TASK, id, ret) < 0) {
        fail_gone(c, id);
        return false;
    }
    if (caller_sees(&c->caller, ret->stack))
        return true;
    record_release(&task_type, ret);
    fail_gone(c, id);
    return false;
}

bool enter_task(struct api_call *c, const struct task *task, bool privileged)
{
    struct spec spec;
    struct err err;
    if (store_task_spec(c->daemon->store, task, &spec) < 0) {
        fail_gone(c, task->id);
        return false;
    }
    int rv = rights_check_enter(&c->caller, &spec, privileged, &err);
    record_release(&spec_type, &spec);
    if (rv < 0)
        api_fail(c, &err);
    return rv == 0;
}

bool enter_container(struct api_call *c, const char *id, bool privileged)
{
    struct task task;
    char *end;
    int64_t task_id = id[0] == 't' ? strtoll(id + 1, &end, 10) : 0;
    if (c->daemon->store && task_id > 0 && !*end &&
        store_get(c->daemon->store, TABLE_TASK, task_id, &task) == 0) {
        bool may = caller_sees(&c->caller, task.stack);
        if (!may)
            api_fail_with(c, ERR_NOTFOUND, "there is no container %.40s", id);
        may = may && enter_task(c, &task, privileged);
        record_release(&task_type, &task);
        return may;
    }
    bool all =
        c->caller.trusted || (c->caller.token.role == TOKEN_ADMIN && c->caller.token.stacks_n == 0);
    if (!all)
        api_fail_with(c, ERR_DENIED, "only an admin may go into a container that is no task's");
    return all;
}
