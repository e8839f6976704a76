/* SPDX-License-Identifier: Apache-2.0 */
#include "node/reconcile.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/netsync.h"
#include "node/standalone.h"
#include "node/waiters.h"
#include "runtime/image.h"
#include "runtime/network.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALONE_MS = 4000, /* without a leader for so long after the start, act alone */
    IDLE_MS = 3000,
};

/* A container that was found at the start. */
struct found {
    char *id;
    struct container_state state;
};

struct reconcile {
    struct daemon *daemon;
    uv_timer_t timer;
    uv_fs_event_t exits;
    struct agent *agents;
    bool discovered; /* the runtime was asked what there is */
    bool acting;
    bool has_read;
    bool dirty; /* tasks changed */
    bool stopping;
    int64_t started_ms;
    struct found *found;
    size_t found_n;
    size_t removing; /* jobs that remove strays */
    int handles;
};

static void on_timer(uv_timer_t *timer);

/* --- what is here at the start --------------------------------------------------------------- */

struct discovery {
    struct reconcile *reconcile;
    struct found *found;
    size_t found_n;
    struct err err;
};

static void work_discover(void *arg)
{
    struct discovery *job = arg;
    struct runtime *rt = job->reconcile->daemon->runtime;
    char **ids = NULL;
    if (container_list(rt, &ids, &job->err) < 0)
        return;
    size_t n = 0;
    while (ids[n])
        n++;
    job->found = mem_alloc(n, sizeof(*job->found));
    for (size_t i = 0; i < n; i++) {
        if (standalone_is_id(ids[i]))
            continue; /* it belongs to no task, and never did */
        struct found *f = &job->found[job->found_n++];
        f->id = str_copy(ids[i]);
        struct err err;
        if (container_state(rt, f->id, &f->state, &err) < 0)
            f->state.status = CONTAINER_CREATED;
    }
    image_strings_free(ids);
}

static void done_discover(void *arg)
{
    struct discovery *job = arg;
    struct reconcile *r = job->reconcile;
    if (job->err.code != 0) {
        struct err err = job->err;
        err_wrap(&err, "look for containers");
        daemon_stop(r->daemon, err.code, &err);
    }
    r->found = job->found;
    r->found_n = job->found_n;
    r->discovered = true;
    free(job);
    reconcile_wake(r);
}

static struct found *take_found(struct reconcile *r, const char *id)
{
    for (size_t i = 0; i < r->found_n; i++)
        if (str_equal(r->found[i].id, id))
            return &r->found[i];
    return NULL;
}

/* --- strays: containers of tasks that are no more -------------------------------------------- */

struct stray {
    struct reconcile *reconcile;
    char *id;
    char *netns;
    struct err err;
};

static void work_stray(void *arg)
{
    struct stray *s = arg;
    struct runtime *rt = s->reconcile->daemon->runtime;
    if (container_remove(rt, s->id, &s->err) == 0)
        network_netns_remove(s->netns, &s->err);
}

static void done_stray(void *arg)
{
    struct stray *s = arg;
    s->reconcile->removing--;
    if (s->err.code != 0)
        log_warn("node", "remove the stray container %s: %s", s->id, s->err.msg);
    free(s->id);
    free(s->netns);
    free(s);
}

static void remove_strays(struct reconcile *r)
{
    struct daemon *d = r->daemon;
    for (size_t i = 0; i < r->found_n; i++) {
        struct found *f = &r->found[i];
        if (!f->id)
            continue;
        log_info("node", "container %s belongs to no task any more", f->id);
        struct stray *s = mem_alloc(1, sizeof(*s));
        s->reconcile = r;
        s->netns = str_printf("%s/netns/%s", d->run_dir, f->id);
        s->id = steal(&f->id);
        r->removing++;
        jobs_run(d->jobs, work_stray, done_stray, s);
    }
    free(r->found);
    r->found = NULL;
    r->found_n = 0;
}

/* --- the loop -------------------------------------------------------------------------------- */

static struct agent *find_agent(struct reconcile *r, int64_t task_id)
{
    for (struct agent *a = r->agents; a; a = a->next)
        if (a->task_id == task_id)
            return a;
    return NULL;
}

static void add_agent(struct reconcile *r, const struct task *task)
{
    struct spec spec;
    if (store_task_spec(r->daemon->store, task, &spec) < 0) {
        log_warn("node", "task %lld has no spec", (long long)task->id);
        return;
    }
    struct agent *a = agent_new(r->daemon, task, &spec);
    record_release(&spec_type, &spec);
    a->next = r->agents;
    r->agents = a;
    struct found *f = take_found(r, a->id);
    if (f) {
        agent_adopt(a, &f->state);
        free(f->id);
        f->id = NULL;
    } else {
        a->known = true;
        if (task_is_terminal(task->state))
            a->phase = task->desired == DESIRED_END ? AGENT_GONE : AGENT_DONE;
    }
}

static void read_tasks(struct reconcile *r)
{
    struct daemon *d = r->daemon;
    struct task *tasks = NULL;
    size_t n = 0;
    r->dirty = false;
    /* Once we are no member, none of our copy's tasks is ours any more. */
    if (!d->removed)
        store_list(d->store, TABLE_TASK, BY_NODE_ID, d->id, &tasks, &n);
    for (struct agent *a = r->agents; a; a = a->next)
        a->row_gone = true;
    for (size_t i = 0; i < n; i++) {
        struct agent *a = find_agent(r, tasks[i].id);
        if (a)
            agent_set_task(a, &tasks[i]);
        else
            add_agent(r, &tasks[i]);
    }
    for (struct agent *a = r->agents; a; a = a->next)
        if (a->row_gone)
            agent_set_task(a, NULL);
    record_free_list(&task_type, tasks, n);
    if (!r->has_read) {
        r->has_read = true;
        netsync_request(d->netsync);
    }
}

static void drop_gone(struct reconcile *r)
{
    for (struct agent **link = &r->agents; *link;) {
        struct agent *a = *link;
        if (a->row_gone && a->phase == AGENT_GONE && !a->busy && !a->checking) {
            *link = a->next;
            agent_free(a);
        } else {
            link = &a->next;
        }
    }
}

/* A copy of the state without us is none: our log is new, and its beginning not here yet. */
static bool has_own_row(struct daemon *d)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, d->id, &node) < 0)
        return false;
    record_release(&node_type, &node);
    return true;
}

static bool may_act(struct reconcile *r)
{
    if (r->daemon->is_copy)
        return false; /* our tasks run where the other one is */
    if (r->acting)
        return true;
    bool alone = clock_boot_ms() - r->started_ms >= ALONE_MS && has_own_row(r->daemon);
    r->acting = daemon_is_synced(r->daemon) || alone;
    if (r->acting && !daemon_is_synced(r->daemon))
        log_warn("node", "no leader can be reached: acting on our own copy of the state");
    return r->acting;
}

static void on_timer(uv_timer_t *timer)
{
    struct reconcile *r = timer->data;
    if (r->stopping || !r->discovered)
        return;
    if (!may_act(r)) {
        uv_timer_start(&r->timer, on_timer, 100, 0);
        return;
    }
    if (r->dirty)
        read_tasks(r);
    for (struct agent *a = r->agents; a; a = a->next)
        agent_step(a);
    drop_gone(r);
    if (r->found_n > 0 && (daemon_is_synced(r->daemon) || r->daemon->removed))
        remove_strays(r);
    reconcile_arm(r);
}

void reconcile_read(struct reconcile *r)
{
    if (!r->stopping && r->discovered && r->acting)
        read_tasks(r);
}

bool reconcile_has_single(const struct reconcile *r)
{
    for (const struct agent *a = r->agents; a; a = a->next)
        if (a->spec.single && a->phase < AGENT_REMOVE && a->phase != AGENT_DONE)
            return true;
    return false;
}

void reconcile_on_lease(struct reconcile *r)
{
    if (r->stopping || !r->discovered)
        return;
    for (struct agent *a = r->agents; a; a = a->next)
        if (a->spec.single)
            agent_on_lease(a);
}

void reconcile_arm(struct reconcile *r)
{
    int64_t now = clock_boot_ms();
    int64_t due = now + IDLE_MS;
    if (r->stopping)
        return;
    for (const struct agent *a = r->agents; a; a = a->next) {
        int64_t at = agent_due_ms(a);
        if (at != 0 && at < due)
            due = at;
    }
    uv_timer_start(&r->timer, on_timer, due > now ? (uint64_t)(due - now) : 1, 0);
}

static void on_exit_seen(uv_fs_event_t *event, const char *filename, int events, int status)
{
    struct reconcile *r = event->data;
    (void)events;
    if (status < 0 || !filename || r->stopping)
        return;
    for (struct agent *a = r->agents; a; a = a->next)
        if (strcmp(a->id, filename) == 0 && a->known)
            agent_look(a);
}

struct reconcile *reconcile_new(struct daemon *d)
{
    struct reconcile *r = mem_alloc(1, sizeof(*r));
    r->daemon = d;
    r->started_ms = clock_boot_ms();
    r->dirty = true;
    uv_timer_init(&d->loop, &r->timer);
    uv_fs_event_init(&d->loop, &r->exits);
    r->timer.data = r->exits.data = r;
    r->handles = 2;
    int rv = uv_fs_event_start(&r->exits, on_exit_seen, container_exits_dir(d->runtime), 0);
    if (rv < 0)
        log_warn("node", "watch %s: %s; ends are seen within seconds only",
                 container_exits_dir(d->runtime), uv_strerror(rv));
    struct discovery *job = mem_alloc(1, sizeof(*job));
    job->reconcile = r;
    jobs_run(d->jobs, work_discover, done_discover, job);
    return r;
}

static void on_closed(uv_handle_t *handle)
{
    struct reconcile *r = handle->data;
    r->handles--;
}

void reconcile_stop(struct reconcile *r)
{
    r->stopping = true;
    uv_close((uv_handle_t *)&r->timer, on_closed);
    uv_close((uv_handle_t *)&r->exits, on_closed);
}

void reconcile_free(struct reconcile *r)
{
    check(r->stopping && r->handles == 0);
    while (r->agents) {
        struct agent *a = r->agents;
        r->agents = a->next;
        agent_free(a);
    }
    for (size_t i = 0; i < r->found_n; i++)
        free(r->found[i].id);
    free(r->found);
    free(r);
}

void reconcile_on_change(struct reconcile *r, unsigned tables)
{
    if (!(tables & 1U << TABLE_TASK))
        return;
    r->dirty = true;
    reconcile_wake(r);
}

void reconcile_wake(struct reconcile *r)
{
    if (!r->stopping)
        uv_timer_start(&r->timer, on_timer, 0, 0);
}

void reconcile_on_network(struct reconcile *r, const char *id, int64_t generation, bool connected)
{
    for (struct agent *a = r->agents; a; a = a->next)
        if (strcmp(a->id, id) == 0)
            agent_on_network(a, generation, connected);
}

bool reconcile_has_read(const struct reconcile *r)
{
    return r->has_read;
}

const struct agent *reconcile_agents(const struct reconcile *r)
{
    return r->agents;
}
