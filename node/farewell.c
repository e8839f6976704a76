/* SPDX-License-Identifier: Apache-2.0 */
#include "node/farewell.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/propose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_MS = 200,
    RETRY_MS = 1000,
};

struct farewell {
    struct daemon *daemon;
    uv_timer_t timer;
    bool back;      /* we take tasks again; else we are to be drained */
    bool proposing; /* it is on its way */
    bool done;      /* … and was made */
    int64_t deadline_ms;
};

static char *drained_path(const struct daemon *d)
{
    return str_printf("%s/identity/drained", d->data_dir);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void farewell_end(struct daemon *d)
{
    struct farewell *f = d->farewell;
    d->farewell = NULL;
    if (!f)
        return;
    uv_timer_stop(&f->timer);
    uv_close((uv_handle_t *)&f->timer, on_closed);
}

static int64_t tasks_left(struct daemon *d)
{
    struct task *tasks;
    size_t n;
    int64_t left = 0;
    store_list(d->store, TABLE_TASK, BY_NODE_ID, d->id, &tasks, &n);
    for (size_t i = 0; i < n; i++)
        left += !task_is_terminal(tasks[i].state);
    record_free_list(&task_type, tasks, n);
    return left;
}

static void on_proposed(void *arg, const struct change_result *result)
{
    struct daemon *d = arg;
    struct farewell *f = d->farewell;
    if (!f)
        return; /* the daemon stops meanwhile */
    f->proposing = false;
    f->done = result->err.code == 0;
    if (!f->done)
        log_warn("members", "%s this machine: %s", f->back ? "activate" : "drain", result->err.msg);
    if (!f->done || !f->back)
        return;
    cleanup_free char *path = drained_path(d);
    log_info("members", "this machine takes tasks again");
    if (unlink(path) < 0 && errno != ENOENT)
        log_warn("members", "%s: %s", path, strerror(errno));
    farewell_end(d);
}

static void propose(struct farewell *f)
{
    struct daemon *d = f->daemon;
    struct change_node_update change = {
        .node_id = d->id,
        .set_availability = true,
        .node = {.availability = f->back ? AVAILABLE_ACTIVE : AVAILABLE_DRAIN}};
    f->proposing = true;
    propose_change(d->propose, CHANGE_NODE_UPDATE, &change, NULL, PROPOSE_TIMEOUT_MS, on_proposed,
                   d);
}

static void on_timer(uv_timer_t *timer)
{
    struct farewell *f = timer->data;
    struct daemon *d = f->daemon;
    if (!f->proposing && !f->done)
        propose(f);
    if (f->back)
        return;
    int64_t left = tasks_left(d);
    bool late = clock_boot_ms() >= f->deadline_ms;
    if ((!f->done || left > 0) && !late)
        return;
    if (late && left > 0)
        log_warn("members", "not drained in time: %lld tasks are left", (long long)left);
    else
        log_info("members", "drained");
    daemon_stop(d, 0, NULL);
}

static struct farewell *begin(struct daemon *d, bool back, uint64_t period_ms)
{
    struct farewell *f = mem_alloc(1, sizeof(*f));
    *f = (struct farewell){.daemon = d, .back = back};
    uv_timer_init(&d->loop, &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_timer, 0, period_ms);
    d->farewell = f;
    return f;
}

/* Others who are up and take tasks. */
static bool has_heirs(struct daemon *d)
{
    struct node *nodes;
    size_t n;
    bool found = false;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        found |= nodes[i].id != d->id && nodes[i].status == NODE_UP && !nodes[i].witness &&
                 nodes[i].availability == AVAILABLE_ACTIVE;
    record_free_list(&node_type, nodes, n);
    return found;
}

bool farewell_begin(struct daemon *d)
{
    struct node self;
    struct err err = {0};
    int64_t timeout_ms = d->options.drain_ms;
    if (timeout_ms <= 0 || !d->store || d->id == 0 || d->witness || d->removed)
        return false;
    if (d->farewell && !d->farewell->back)
        return false; /* a second signal */
    if (store_get(d->store, TABLE_NODE, d->id, &self) < 0)
        return false;
    bool active = self.availability == AVAILABLE_ACTIVE;
    record_release(&node_type, &self);
    cleanup_free char *path = drained_path(d);
    if (!active || !has_heirs(d))
        return false;
    if (file_write(path, "", 0, 0600, &err) < 0) {
        log_warn("members", "not drained: %s", err.msg);
        return false;
    }
    farewell_end(d);
    log_info("members",
             "draining before the stop, for %lld s at most; a second signal stops at once",
             (long long)timeout_ms / 1000);
    begin(d, false, LOOK_MS)->deadline_ms = clock_boot_ms() + timeout_ms;
    return true;
}

void farewell_resume(struct daemon *d)
{
    cleanup_free char *path = drained_path(d);
    if (access(path, F_OK) == 0 && !d->farewell)
        begin(d, true, RETRY_MS);
}
