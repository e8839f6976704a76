/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that show services and tasks, with the reason for whatever waits. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/leader.h"

#include <stdlib.h>
#include <string.h>

/* The whole picture: rows, and what the scheduler says of the slots that have no task. Any member
 * can ask it: it is a pure function of the state. */
struct picture {
    const struct caller *caller; /* who looks: it sees its stacks only */
    struct view view;
    struct plan plan;
};

static void picture_read(const struct api_call *c, struct picture *p)
{
    memset(p, 0, sizeof(*p));
    p->caller = &c->caller;
    view_read(c->daemon->store, daemon_now_ms(c->daemon), &p->view);
    scheduler_plan(&p->view, &p->plan);
}

static void picture_release(struct picture *p)
{
    plan_release(&p->plan);
    view_release(&p->view);
}

static const struct node *node_of(const struct picture *p, int64_t id)
{
    for (size_t i = 0; i < p->view.nodes_n; i++)
        if (p->view.nodes[i].id == id)
            return &p->view.nodes[i];
    return NULL;
}

/* What a task of it last said may be old news. */
static bool is_down(const struct picture *p, int64_t node_id)
{
    const struct node *node = node_of(p, node_id);
    return !node || node->status == NODE_DOWN;
}

static const struct spec *spec_of(const struct picture *p, const struct service *s,
                                  int64_t revision)
{
    for (size_t i = 0; i < p->view.revisions_n && revision != s->revision; i++)
        if (p->view.revisions[i].service_id == s->id && p->view.revisions[i].revision == revision)
            return &p->view.revisions[i].spec;
    return &s->spec;
}

/* Parts are compared whole: app.web is not app.web2. */
static bool matches(const struct picture *p, const struct service *s,
                    const struct object_name *name)
{
    return caller_sees(p->caller, s->stack) && (!name->stack || str_equal(s->stack, name->stack)) &&
           (!name->service || str_equal(s->name, name->service));
}

/* The object in the request's filter; with "" everything. Whether it exists is checked. */
static int read_filter(const struct picture *p, const char *text, struct object_name *ret,
                       struct err *err)
{
    *ret = (struct object_name){0};
    if (!*str_or_empty(text))
        return 0;
    if (object_name_parse(text, ret, err) < 0)
        return err->code;
    for (size_t i = 0; i < p->view.services_n; i++)
        if (matches(p, &p->view.services[i], ret))
            return 0;
    bool service = ret->service;
    object_name_release(ret);
    return err_set(err, ERR_NOTFOUND, "there is no %s '%s' ('wherry ls' lists the services)",
                   service ? "service" : "stack", text);
}

/* --- services --------------------------------------------------------------------------------- */

/* What is shown of a job is its last run. */
static const struct job_run *last_run(const struct picture *p, const struct service *s)
{
    const struct job_run *last = NULL;
    for (size_t i = 0; i < p->view.runs_n; i++)
        if (p->view.runs[i].service_id == s->id && p->view.runs[i].state != JOB_SKIPPED)
            last = &p->view.runs[i];
    return last;
}

static void count_tasks(const struct picture *p, const struct service *s, struct service_info *info,
                        bool *ret_old, bool *ret_failed, const char **ret_message)
{
    const struct job_run *run = mode_is_job(s->spec.mode) ? last_run(p, s) : NULL;
    for (size_t i = 0; i < p->view.tasks_n; i++) {
        const struct task *t = &p->view.tasks[i];
        if (t->service_id != s->id || t->desired != DESIRED_RUN || (run && t->job_id != run->id))
            continue;
        bool down = is_down(p, t->node_id);
        if (down && s->spec.mode == MODE_GLOBAL)
            continue; /* none is asked for there now */
        bool current = t->revision == s->revision || run;
        bool healthy = !down && task_is_healthy(t);
        info->running += !down && t->state == TASK_RUNNING;
        info->healthy += healthy;
        info->complete += t->state == TASK_COMPLETE && current;
        info->updated += current && (healthy || t->state == TASK_COMPLETE);
        *ret_old |= !current;
        *ret_failed |= t->state == TASK_FAILED;
        if (!*ret_message && *str_or_empty(t->message) && !task_is_healthy(t))
            *ret_message = t->message;
        info->replicas += mode_is_global(s->spec.mode);
    }
}

/* Of a job with runs. */
static const char *job_state_of(const struct service *s, const struct job_run *run,
                                const struct service_info *info, bool waiting)
{
    bool scheduled = *str_or_empty(s->spec.job.schedule);
    if (!run || (scheduled && run->state != JOB_RUNNING))
        return scheduled ? "scheduled" : "starting";
    if (run->state == JOB_RUNNING)
        return waiting ? "waiting" : info->running > 0 ? "running" : "starting";
    if (run->revision != s->revision)
        return "starting";
    return run->state == JOB_SUCCEEDED ? "complete" : job_state_names[run->state];
}

static const char *state_of(const struct service *s, const struct service_info *info, bool old,
                            bool failed, bool waiting)
{
    if (s->removed)
        return "removing";
    if (s->stopped)
        return "stopped";
    if (s->rollout == ROLLOUT_PAUSED || s->rollout == ROLLOUT_ROLLBACK_PAUSED)
        return "paused";
    if (failed)
        return "failed";
    if (s->spec.mode == MODE_REPLICATED_JOB && info->complete >= info->replicas)
        return "complete";
    if (old)
        return s->rollout == ROLLOUT_ROLLING_BACK ? "rolling back" : "updating";
    if (waiting)
        return "waiting";
    if (s->spec.mode != MODE_REPLICATED_JOB && info->updated >= info->replicas)
        return "running";
    return info->running > 0 && s->spec.mode == MODE_REPLICATED_JOB ? "running" : "starting";
}

static void describe_ports(const struct spec *spec, struct service_info *info)
{
    info->ports_n = spec->ports_n;
    info->ports = mem_alloc(spec->ports_n, sizeof(char *));
    for (size_t i = 0; i < spec->ports_n; i++)
        info->ports[i] =
            str_printf("%lld->%lld/%s", (long long)spec->ports[i].published,
                       (long long)spec->ports[i].target, protocol_names[spec->ports[i].protocol]);
}

static void describe_service(const struct picture *p, const struct service *s,
                             struct service_info *info)
{
    bool old = false;
    bool failed = false;
    bool waiting = false;
    const char *message = NULL;
    cleanup_buf struct buf why = BUF_INIT;
    *info = (struct service_info){
        .id = s->id,
        .name = str_printf("%s.%s", s->stack, s->name),
        .stack = str_copy(s->stack),
        .mode = str_copy(service_mode_names[s->spec.mode]),
        .image = str_copy(s->spec.image),
        .replicas = mode_is_global(s->spec.mode) ? 0 : s->spec.replicas,
        .revision = s->revision,
        .removed = s->removed,
        .stopped = s->stopped,
        .cause = str_copy(s->cause),
        .rollout = str_copy(rollout_state_names[s->rollout]),
        .rollout_message = str_copy(s->rollout_message),
        .created_ms = s->created_ms,
        .updated_ms = s->updated_ms,
    };
    count_tasks(p, s, info, &old, &failed, &message);
    for (size_t i = 0; i < p->plan.unplaced_n; i++) {
        const struct unplaced *u = &p->plan.unplaced[i];
        if (u->service_id != s->id)
            continue;
        if (!waiting)
            unplaced_explain(u, &why);
        waiting = true;
    }
    const struct job_run *run = last_run(p, s);
    bool job = mode_is_job(s->spec.mode) && p->view.level >= 4 && !s->removed && !s->stopped;
    info->state = str_copy(job ? job_state_of(s, run, info, waiting)
                               : state_of(s, info, old, failed, waiting));
    if (job && run && run->state != JOB_RUNNING && !message && *str_or_empty(run->message))
        message = run->message;
    bool paused = str_equal(info->state, "paused") && *str_or_empty(s->rollout_message);
    info->message = str_copy(paused    ? s->rollout_message
                             : waiting ? why.data
                                       : str_or_empty(message));
    describe_ports(&s->spec, info);
    record_copy(&spec_type, &s->spec, &info->spec);
}

void api_service_list(struct api_call *c, const void *request)
{
    const struct filter_request *r = request;
    struct service_list_reply reply = {0};
    struct object_name filter;
    struct picture p;
    struct err err;
    picture_read(c, &p);
    if (read_filter(&p, r->name, &filter, &err) < 0) {
        api_fail(c, &err);
        picture_release(&p);
        return;
    }
    reply.services = mem_alloc(p.view.services_n, sizeof(*reply.services));
    for (size_t i = 0; i < p.view.services_n; i++)
        if (matches(&p, &p.view.services[i], &filter))
            describe_service(&p, &p.view.services[i], &reply.services[reply.services_n++]);
    api_reply(c, &reply);
    record_release(&service_list_reply_type, &reply);
    object_name_release(&filter);
    picture_release(&p);
}

void api_service_inspect(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct object_name name = {0};
    struct picture p;
    struct err err = {0};
    picture_read(c, &p);
    int rv = read_filter(&p, r->name, &name, &err);
    if (rv == 0 && (!name.service || name.slot))
        rv = err_set(&err, ERR_INVALID, "'%.60s' is not a service: STACK.SERVICE is",
                     str_or_empty(r->name));
    for (size_t i = 0; rv == 0 && i < p.view.services_n; i++) {
        struct service_info info;
        if (!matches(&p, &p.view.services[i], &name))
            continue;
        describe_service(&p, &p.view.services[i], &info);
        api_reply(c, &info);
        record_release(&service_info_type, &info);
        break;
    }
    if (rv < 0)
        api_fail(c, &err);
    object_name_release(&name);
    picture_release(&p);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static const struct service *service_of(const struct picture *p, int64_t id)
{
    for (size_t i = 0; i < p->view.services_n; i++)
        if (p->view.services[i].id == id)
            return &p->view.services[i];
    return NULL;
}

/* What a task on a lost node last said may be true no more. */
static const char *message_of(const struct task *t, const struct node *node)
{
    if (!node || node->status == NODE_UP || task_is_terminal(t->state))
        return t->message;
    return t->desired == DESIRED_END ? "its node is down; it ends there when the node returns"
                                     : "its node is down";
}

/* Where it is to go; "": nowhere. */
static const char *target_of(const struct picture *p, const struct task *t)
{
    const struct node *to = t->move_to > 0 ? node_of(p, t->move_to) : NULL;
    if (t->move_to == 0)
        return "";
    return t->move_to < 0 ? "another member"
           : to           ? str_or_empty(to->name)
                          : "a member that is gone";
}

static void describe_task(const struct picture *p, const struct task *t, const struct service *s,
                          struct task_info *info)
{
    const struct node *node = node_of(p, t->node_id);
    *info = (struct task_info){
        .id = t->id,
        .name = str_printf("%s.%s.%lld", t->stack, t->service, (long long)t->slot),
        .service = str_printf("%s.%s", t->stack, t->service),
        .slot = t->slot,
        .node = str_copy(node ? node->name : ""),
        .image = str_copy(s ? spec_of(p, s, t->revision)->image : ""),
        .desired = str_copy(task_desired_names[t->desired]),
        .state = str_copy(task_state_names[t->state]),
        .health = str_copy(task_health_names[t->health]),
        .run = t->run,
        .restarts = t->run > 1 ? t->run - 1 : 0,
        .exit_code = t->exit_code,
        .message = str_copy(message_of(t, node)),
        .revision = t->revision,
        .created_ms = t->created_ms,
        .state_ms = t->state_ms,
        .moves_to = str_copy(target_of(p, t)),
        .move_reason = str_copy(str_or_empty(t->move_reason)),
    };
    if (s && t->network_task)
        info->network_of =
            str_printf("%s.%s.%lld", t->stack, str_or_empty(spec_of(p, s, t->revision)->network_of),
                       (long long)t->slot);
    info->addresses = mem_alloc(t->addresses_n, sizeof(char *));
    for (size_t i = 0; i < t->addresses_n; i++)
        info->addresses[info->addresses_n++] = str_copy(t->addresses[i].address);
}

static void describe_unplaced(const struct unplaced *u, const struct service *s,
                              struct task_info *info)
{
    struct buf why = BUF_INIT;
    unplaced_explain(u, &why);
    *info = (struct task_info){
        .name = str_printf("%s.%s.%lld", s->stack, s->name, (long long)u->slot),
        .service = str_printf("%s.%s", s->stack, s->name),
        .slot = u->slot,
        .image = str_copy(s->spec.image),
        .desired = str_copy("run"),
        .state = str_copy("pending"),
        .health = str_copy("none"),
        .message = buf_take(&why),
        .revision = s->revision,
    };
}

static int by_name(const void *left, const void *right)
{
    const struct task_info *a = left;
    const struct task_info *b = right;
    int rv = strcmp(a->service, b->service);
    if (rv == 0)
        rv = a->slot < b->slot ? -1 : a->slot > b->slot;
    /* The task that is to run stands before those it replaces. */
    return rv != 0 ? rv : a->id < b->id ? 1 : a->id > b->id ? -1 : 0;
}

void api_task_list(struct api_call *c, const void *request)
{
    const struct filter_request *r = request;
    struct task_list_reply reply = {0};
    struct object_name filter;
    struct picture p;
    struct err err;
    picture_read(c, &p);
    if (read_filter(&p, r->name, &filter, &err) < 0) {
        api_fail(c, &err);
        picture_release(&p);
        return;
    }
    reply.tasks = mem_alloc(p.view.tasks_n + p.plan.unplaced_n, sizeof(*reply.tasks));
    for (size_t i = 0; i < p.view.tasks_n; i++) {
        const struct task *t = &p.view.tasks[i];
        const struct service *s = service_of(&p, t->service_id);
        if (s && matches(&p, s, &filter) && (!filter.slot || filter.slot == t->slot))
            describe_task(&p, t, s, &reply.tasks[reply.tasks_n++]);
    }
    for (size_t i = 0; i < p.plan.unplaced_n; i++) {
        const struct unplaced *u = &p.plan.unplaced[i];
        const struct service *s = service_of(&p, u->service_id);
        if (s && matches(&p, s, &filter) && (!filter.slot || filter.slot == u->slot))
            describe_unplaced(u, s, &reply.tasks[reply.tasks_n++]);
    }
    qsort(reply.tasks, reply.tasks_n, sizeof(*reply.tasks), by_name);
    api_reply(c, &reply);
    record_release(&task_list_reply_type, &reply);
    object_name_release(&filter);
    picture_release(&p);
}
