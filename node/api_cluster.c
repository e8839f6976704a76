/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the cluster as a whole: init, join, status, wait, who calls. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/callers.h"
#include "node/clocks.h"
#include "node/copy.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/impact.h"
#include "node/keys.h"
#include "node/level.h"
#include "node/members.h"
#include "node/propose.h"
#include "node/repair.h"
#include "node/space.h"
#include "node/stalls.h"
#include "node/waiters.h"
#include "runtime/runtime.h"
#include "scheduler/scheduler.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

/* --- init and join ---------------------------------------------------------------------------- */

static void on_first_token(struct api_call *c, const struct err *err,
                           const struct token_reply *token)
{
    struct daemon *d = c->daemon;
    struct init_reply reply = {.cluster = (char *)(uintptr_t)identity_cluster(d->identity),
                               .address = d->address,
                               .join_token = token->token};
    if (err->code != 0)
        api_fail(c, err);
    else
        api_reply(c, &reply);
}

static void on_founded(void *arg, const struct err *failed)
{
    struct api_call *c = arg;
    struct err err = *failed;
    struct token_request first = {.kind = TOKEN_JOIN};
    if (err.code != 0 || !api_token_make(c, &first, on_first_token, &err))
        api_fail(c, &err);
}

void api_init(struct api_call *c, const void *request)
{
    const struct init_request *r = request;
    members_found(c->daemon, str_or_empty(r->pool), on_founded, c);
}

static void on_joined(void *arg, const struct err *err)
{
    struct api_call *c = arg;
    struct daemon *d = c->daemon;
    struct join_reply reply = {.cluster = (char *)(uintptr_t)identity_cluster(d->identity),
                               .node_id = d->id};
    if (err->code != 0)
        api_fail(c, err);
    else
        api_reply(c, &reply);
}

void api_join(struct api_call *c, const void *request)
{
    const struct join_request *r = request;
    if (!strchr(str_or_empty(r->address), ':')) {
        cleanup_free char *address = str_printf("%s:7400", str_or_empty(r->address));
        members_join(c->daemon, address, str_or_empty(r->token), r->replace, on_joined, c);
        return;
    }
    members_join(c->daemon, r->address, str_or_empty(r->token), r->replace, on_joined, c);
}

/* --- status ----------------------------------------------------------------------------------- */

static void count_members(struct daemon *d, struct status_reply *s)
{
    struct consensus_member members[256];
    size_t n = consensus_members(d->consensus, members, ARRAY_SIZE(members));
    struct node *nodes;
    size_t nodes_n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &nodes_n);
    s->nodes = (int64_t)nodes_n;
    for (size_t i = 0; i < nodes_n; i++) {
        bool up = nodes[i].status == NODE_UP;
        s->nodes_up += up;
        for (size_t k = 0; k < n && k < ARRAY_SIZE(members); k++)
            if (members[k].id == nodes[i].id && members[k].role == ROLE_VOTER) {
                s->voters++;
                s->voters_up += up;
            }
    }
    record_free_list(&node_type, nodes, nodes_n);
    s->quorum = s->voters / 2 + 1;
    s->losable = s->voters_up >= s->quorum ? s->voters_up - s->quorum : 0;
}

static bool is_up(struct daemon *d, int64_t node_id)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, node_id, &node) < 0)
        return false;
    bool up = node.status == NODE_UP;
    record_release(&node_type, &node);
    return up;
}

/* Replicas that have no task: those that no node fits. */
static int64_t empty_slots(struct store *store, const struct service *service)
{
    struct task *tasks;
    size_t n;
    int64_t filled = 0;
    if (service->removed || service->spec.mode == MODE_GLOBAL)
        return 0;
    store_list(store, TABLE_TASK, BY_SERVICE_ID, service->id, &tasks, &n);
    for (size_t i = 0; i < n; i++)
        filled += tasks[i].desired == DESIRED_RUN;
    record_free_list(&task_type, tasks, n);
    return filled < service->spec.replicas ? service->spec.replicas - filled : 0;
}

/* What the caller may see of it. */
static void count_tasks(struct daemon *d, const struct caller *caller, struct status_reply *s)
{
    struct task *tasks;
    size_t n;
    store_list(d->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].desired != DESIRED_RUN || !caller_sees(caller, tasks[i].stack))
            continue;
        s->tasks++;
        s->tasks_running += tasks[i].state == TASK_RUNNING && is_up(d, tasks[i].node_id);
        s->tasks_waiting += tasks[i].state < TASK_RUNNING;
    }
    record_free_list(&task_type, tasks, n);
    struct service *services;
    store_list(d->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n; i++) {
        if (!caller_sees(caller, services[i].stack))
            continue;
        s->services++;
        s->tasks_waiting += empty_slots(d->store, &services[i]);
    }
    record_free_list(&service_type, services, n);
}

/* Each line of @text is a warning. */
static void add_warnings(struct status_reply *s, const struct buf *text)
{
    for (const char *line = text->data; line && *line;) {
        const char *end = strchr(line, '\n');
        s->warnings = mem_resize(s->warnings, s->warnings_n + 1, sizeof(char *));
        s->warnings[s->warnings_n++] = str_printf("%.*s", (int)(end - line), line);
        line = end + 1;
    }
}

/* "crun 1.8.1 (also: runc; runsc fails: not installed)". One that nobody asked for and that is not
 * there is not worth a word. */
static void put_oci_runtimes(const struct daemon *d, struct buf *out)
{
    struct runtime_oci *list;
    size_t n, more = 0;
    buf_puts(out, runtime_oci_version(d->runtime));
    runtime_oci_list(d->runtime, &list, &n);
    for (size_t i = 0; i < n; i++) {
        bool missing = list[i].reason && !list[i].path;
        bool usual = str_equal(list[i].name, "crun") || str_equal(list[i].name, "runc");
        if (list[i].is_default || (!list[i].works && !list[i].reason) || (missing && usual))
            continue;
        buf_printf(out, "%s%s", more++ == 0 ? " (also: " : "; ", list[i].name);
        if (!list[i].works)
            buf_printf(out, " fails: %.100s", list[i].reason);
    }
    if (more > 0)
        buf_putc(out, ')');
    runtime_oci_list_free(list, n);
}

void api_status(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    char leader[80] = "";
    (void)request;
    cleanup_buf struct buf runtimes = BUF_INIT;
    if (!d->witness)
        put_oci_runtimes(d, &runtimes);
    struct status_reply s = {
        .version = (char *)(uintptr_t)level_version(d),
        .node = d->name,
        .node_id = d->id,
        .leader = leader,
        .cluster = (char *)(uintptr_t)identity_cluster(d->identity),
        .oci_runtime = runtimes.data,
        .cgroups = d->witness ? NULL : (char *)(uintptr_t)runtime_cgroup_mode(d->runtime)};
    if (d->waiters) {
        int64_t id = consensus_leader(d->consensus);
        if (id != 0)
            daemon_node_name(d, id, leader, sizeof(leader));
        s.lock = (char *)(uintptr_t)keys_lock(d->keys);
        s.key = (char *)(uintptr_t)keys_state(d->keys);
        s.term = consensus_term(d->consensus);
        s.index = store_index(d->store);
        s.behind = heartbeat_behind(d->heartbeat);
        s.cut_off = consensus_is_cut_off(d->consensus);
        s.contact_ms = heartbeat_out_of_contact_ms(d->heartbeat);
        s.level = store_level(d->store);
        count_members(d, &s);
        count_tasks(d, &c->caller, &s);
        cleanup_buf struct buf warnings = BUF_INIT;
        clocks_warn(d->clocks, &warnings);
        if (d->is_copy) {
            copy_explain(d, &warnings);
            buf_putc(&warnings, '\n');
        }
        if (id != 0) /* only a leader knows who is up */
            impact_of_shape(d, &warnings);
        space_explain(d, &warnings);
        add_warnings(&s, &warnings);
    }
    if (repair_text(d)) {
        cleanup_buf struct buf text = BUF_INIT;
        buf_printf(&text, "%s\n", repair_text(d));
        add_warnings(&s, &text);
    }
    api_reply(c, &s);
    for (size_t i = 0; i < s.warnings_n; i++)
        free(s.warnings[i]);
    free(s.warnings);
}

void api_stalls(struct api_call *c, const void *request)
{
    struct stalls_reply reply;
    (void)request;
    stalls_take(c->daemon->stalls, &reply);
    api_reply(c, &reply);
}

/* --- session ---------------------------------------------------------------------------------- */

void api_session(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    const struct token *token = &c->caller.token;
    (void)request;
    struct session_reply reply = {.cluster = str_copy(identity_cluster(d->identity)),
                                  .node = str_copy(d->name),
                                  .name = str_copy(str_or_empty(token->name)),
                                  .role = str_copy(token_role_names[token->role]),
                                  .expires_ms = token->expires_ms};
    reply.stacks = mem_alloc(token->stacks_n, sizeof(*reply.stacks));
    for (size_t i = 0; i < token->stacks_n; i++)
        reply.stacks[reply.stacks_n++] = str_copy(token->stacks[i]);
    callers_addresses(d, &reply.addresses, &reply.addresses_n);
    api_reply(c, &reply);
    record_release(&session_reply_type, &reply);
}

/* --- wait ------------------------------------------------------------------------------------- */

struct index_wait {
    struct api_call *call;
    int64_t after;
};

static bool poll_index(void *arg, bool last)
{
    struct index_wait *wait = arg;
    int64_t index = store_index(wait->call->daemon->store);
    if (index <= wait->after && !last)
        return false;
    struct wait_reply reply = {.index = index};
    api_reply(wait->call, &reply);
    free(wait);
    return true;
}

void api_wait(struct api_call *c, const void *request)
{
    const struct wait_request *r = request;
    struct index_wait wait = {.call = c, .after = r->after};
    waiters_add(c->daemon->waiters, r->wait_ms, poll_index, mem_copy(&wait, sizeof(wait)));
}
