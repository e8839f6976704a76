/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.why: whatever of services is not as it should be, each with its cause in a line.
 *
 * It looks at the state and asks the scheduler, as the leader does; nothing is kept for it.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/leader.h"
#include "scheduler/why.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS_MAX = 1000, /* more are cut: one asks for less then */
    NODES_MAX = 20,   /* said of a slot */
};

struct asking {
    struct view view;
    struct plan plan;
    const struct caller *caller;
    struct object_name name;
    struct why_reply reply;
};

static void add(struct asking *a, char *object, const char *node, const char *state, char *cause,
                const char *advice)
{
    if (a->reply.items_n == ITEMS_MAX) {
        a->reply.cut = true;
        free(object);
        free(cause);
        return;
    }
    a->reply.items = mem_resize(a->reply.items, a->reply.items_n + 1, sizeof(*a->reply.items));
    a->reply.items[a->reply.items_n++] = (struct why_item){.object = object,
                                                           .node = str_copy(node),
                                                           .state = str_copy(state),
                                                           .cause = cause,
                                                           .advice = str_copy(advice)};
}

static const struct node *node_of(const struct asking *a, int64_t id)
{
    for (size_t i = 0; i < a->view.nodes_n; i++)
        if (a->view.nodes[i].id == id)
            return &a->view.nodes[i];
    return NULL;
}

static char *title_of(const struct service *s, int64_t slot)
{
    return slot ? str_printf("%s.%s.%" PRId64, s->stack, s->name, slot)
                : str_printf("%s.%s", s->stack, s->name);
}

/* --- services and slots ----------------------------------------------------------------------- */

static void look_at_service(struct asking *a, const struct service *s)
{
    cleanup_free char *go_on = str_printf("'wherry rollout resume %s.%s' goes on, 'wherry rollback "
                                          "%s.%s' goes back",
                                          s->stack, s->name, s->stack, s->name);
    cleanup_free char *start = str_printf("'wherry start %s.%s'", s->stack, s->name);
    bool paused = s->rollout == ROLLOUT_PAUSED || s->rollout == ROLLOUT_ROLLBACK_PAUSED;
    if (s->removed)
        add(a, title_of(s, 0), "", "removing", str_copy("its tasks are being ended"), "");
    else if (s->stopped)
        add(a, title_of(s, 0), "", "stopped", str_copy("by hand"), start);
    else if (paused)
        add(a, title_of(s, 0), "", "paused",
            str_printf("its rollout: %s", str_or_empty(s->rollout_message)), go_on);
    else if (s->rollout == ROLLOUT_ROLLED_BACK && *str_or_empty(s->rollout_message) &&
             strcmp(s->rollout_message, "by hand") != 0)
        add(a, title_of(s, 0), "", "rolled back", str_copy(s->rollout_message), "");
}

/* Node by node. */
static void look_at_nodes(struct asking *a, const struct service *s, int64_t slot)
{
    for (size_t i = 0; i < a->view.nodes_n && i < NODES_MAX; i++) {
        struct buf text = BUF_INIT;
        const struct node *node = &a->view.nodes[i];
        scheduler_why(&a->view, s, node, &text);
        add(a, title_of(s, slot), node->name, "no", buf_take(&text), "");
    }
}

static void look_at_unplaced(struct asking *a, const struct service *s)
{
    bool told = false; /* all slots of a service are refused alike */
    for (size_t i = 0; i < a->plan.unplaced_n; i++) {
        const struct unplaced *u = &a->plan.unplaced[i];
        if (u->service_id != s->id || (a->name.slot && u->slot && u->slot != a->name.slot))
            continue;
        struct buf text = BUF_INIT;
        unplaced_explain(u, &text);
        add(a, title_of(s, u->slot), "", "waits", buf_take(&text), "");
        if (!u->waits_for[0] && !told)
            look_at_nodes(a, s, u->slot);
        told |= !u->waits_for[0];
    }
}

/* --- tasks ------------------------------------------------------------------------------------ */

static char *cause_of(const struct task *t, const struct node *node)
{
    const char *message = str_or_empty(t->message);
    if (!node || node->status == NODE_DOWN)
        return str_copy("its node is down");
    if (t->desired == DESIRED_END)
        return str_copy("it is being stopped");
    if (t->attempts > 1 || t->run > 1)
        return str_printf("%s; restarted %" PRId64 " times", *message ? message : "it ends",
                          t->run - 1);
    return str_copy(*message ? message : task_state_names[t->state]);
}

static void look_at_tasks(struct asking *a, const struct service *s)
{
    for (size_t i = 0; i < a->view.tasks_n; i++) {
        const struct task *t = &a->view.tasks[i];
        const struct node *node = node_of(a, t->node_id);
        bool down = !node || node->status == NODE_DOWN;
        bool well = task_is_healthy(t) || t->state == TASK_COMPLETE || t->state == TASK_ENDED;
        if (t->service_id != s->id || (a->name.slot && t->slot != a->name.slot) ||
            (well && !down && t->desired == DESIRED_RUN) || t->state == TASK_ENDED)
            continue;
        bool ran = t->run > 0 && t->desired == DESIRED_RUN && !down;
        cleanup_free char *advice = str_printf(
            "'wherry logs %s.%s.%" PRId64 "' shows what it wrote", t->stack, t->service, t->slot);
        const char *state = t->desired == DESIRED_READY         ? "successor"
                            : t->desired == DESIRED_END         ? "stopping"
                            : t->state == TASK_RUNNING && !well ? task_health_names[t->health]
                                                                : task_state_names[t->state];
        add(a, title_of(s, t->slot), node ? node->name : "", state, cause_of(t, node),
            ran && t->state != TASK_STARTING ? advice : "");
    }
}

static bool matches(const struct asking *a, const struct service *s)
{
    return caller_sees(a->caller, s->stack) &&
           (!a->name.stack || str_equal(s->stack, a->name.stack)) &&
           (!a->name.service || str_equal(s->name, a->name.service));
}

void api_service_why(struct api_call *c, const void *request)
{
    const struct filter_request *r = request;
    struct asking a = {.caller = &c->caller};
    struct err err = {0};
    bool found = false;
    if (*str_or_empty(r->name) && object_name_parse(r->name, &a.name, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    view_read(c->daemon->store, daemon_now_ms(c->daemon), &a.view);
    scheduler_plan(&a.view, &a.plan);
    for (size_t i = 0; i < a.view.services_n; i++) {
        const struct service *s = &a.view.services[i];
        if (!matches(&a, s))
            continue;
        found = true;
        look_at_service(&a, s);
        look_at_unplaced(&a, s);
        look_at_tasks(&a, s);
    }
    if (found || !*str_or_empty(r->name))
        api_reply(c, &a.reply);
    else
        api_fail_with(c, ERR_NOTFOUND, "there is no '%.130s' ('wherry ls' lists the services)",
                      r->name);
    record_release(&why_reply_type, &a.reply);
    plan_release(&a.plan);
    view_release(&a.view);
    object_name_release(&a.name);
}
