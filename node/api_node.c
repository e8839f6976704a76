/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about members. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/api.h"
#include "node/clocks.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/impact.h"
#include "node/propose.h"
#include "node/space.h"

#include <stdlib.h>
#include <string.h>

static const char *role_of(struct daemon *d, int64_t id, bool *ret_votes)
{
    struct consensus_member members[256];
    size_t n = consensus_members(d->consensus, members, 256);
    for (size_t i = 0; i < n && i < 256; i++) {
        if (members[i].id != id)
            continue;
        switch (members[i].role) {
        case ROLE_VOTER:
            *ret_votes = true;
            return "voter";
        case ROLE_STANDBY:
            return "standby";
        case ROLE_SPARE:
            return "joining";
        }
    }
    return "joining";
}

static void count_tasks(struct daemon *d, struct node_info *info)
{
    struct task *tasks;
    size_t n;
    store_list(d->store, TABLE_TASK, BY_NODE_ID, info->id, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        struct spec spec;
        info->tasks += tasks[i].state == TASK_RUNNING;
        if (task_is_terminal(tasks[i].state) || store_task_spec(d->store, &tasks[i], &spec) < 0)
            continue;
        info->cpu_reserved_milli += spec.reservations.cpu_milli;
        info->memory_reserved_bytes += spec.reservations.memory_bytes;
        for (size_t k = 0; k < spec.resources_n; k++)
            for (size_t j = 0; j < info->resources_n; j++)
                if (str_equal(info->resources[j].name, spec.resources[k].name))
                    info->resources[j].reserved += spec.resources[k].count;
        record_release(&spec_type, &spec);
    }
    record_free_list(&task_type, tasks, n);
}

/* Moves what @node owns into @info. */
static void describe(struct daemon *d, struct node *node, struct node_info *info)
{
    bool votes = false;
    const char *role = role_of(d, node->id, &votes);
    if (node->witness && !str_equal(role, "joining"))
        role = "witness";
    if (node->cut_off)
        role = "cut off";
    *info = (struct node_info){
        .id = node->id,
        .name = str_copy(node->name),
        .address = str_copy(node->address),
        .status = str_copy(node_status_names[node->status]),
        .availability = str_copy(availability_names[node->availability]),
        .role = str_copy(role),
        .votes = votes,
        .leader = consensus_leader(d->consensus) == node->id,
        .labels = node->labels,
        .labels_n = node->labels_n,
        .cpu_milli = node->cpu_milli,
        .memory_bytes = node->memory_bytes,
        .version = str_copy(node->version),
        .os = str_copy(node->os),
        .arch = str_copy(node->arch),
        .joined_ms = node->joined_ms,
        .status_ms = node->status_ms,
        .clock_offset_ms = clocks_offset_ms(d->clocks, node->id),
        .disk_full =
            node->id == d->id ? space_is_short(d) : heartbeat_is_short(d->heartbeat, node->id),
        .disk_free_bytes =
            node->id == d->id ? space_free_bytes(d) : heartbeat_free_bytes(d->heartbeat, node->id),
    };
    node->labels = NULL;
    node->labels_n = 0;
    info->resources = mem_alloc(node->resources_n, sizeof(*info->resources));
    for (size_t i = 0; i < node->resources_n; i++)
        info->resources[info->resources_n++] = (struct resource_info){
            .name = str_copy(node->resources[i].name), .count = node->resources[i].count};
    count_tasks(d, info);
}

void api_node_list(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    struct node_list_reply reply = {0};
    struct node *nodes;
    (void)request;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &reply.nodes_n);
    reply.nodes = mem_alloc(reply.nodes_n, sizeof(*reply.nodes));
    for (size_t i = 0; i < reply.nodes_n; i++)
        describe(d, &nodes[i], &reply.nodes[i]);
    record_free_list(&node_type, nodes, reply.nodes_n);
    api_reply(c, &reply);
    record_release(&node_list_reply_type, &reply);
}

static int find_node(struct daemon *d, const char *name, struct node *ret)
{
    if (store_find(d->store, TABLE_NODE, name, ret) == 0)
        return 0;
    char *end;
    if (name[0] == 'n' && name[1]) {
        long long id = strtoll(name + 1, &end, 10);
        if (!*end)
            return store_get(d->store, TABLE_NODE, id, ret);
    }
    return ERR_NOTFOUND;
}

/* The node called @name; answers @c when there is none. */
static bool get_node(struct api_call *c, const char *name, struct node *ret)
{
    if (find_node(c->daemon, str_or_empty(name), ret) == 0)
        return true;
    api_fail_with(c, ERR_NOTFOUND, "there is no node '%.80s' ('wherry node ls' lists them)",
                  str_or_empty(name));
    return false;
}

void api_node_inspect(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct node node;
    struct node_info info;
    if (!get_node(c, r->name, &node))
        return;
    describe(c->daemon, &node, &info);
    api_reply(c, &info);
    record_release(&node_info_type, &info);
    record_release(&node_type, &node);
}

/* --- changes -----------------------------------------------------------------------------------
 */

static void on_changed(void *arg, const struct change_result *result)
{
    struct node_change_reply reply = {.done = true};
    if (result->err.code != 0)
        api_fail(arg, &result->err);
    else
        api_reply(arg, &reply);
}

/* Make the change, unless it costs something that was not agreed to. */
static void change_or_warn(struct api_call *c, const struct buf *warning, enum change_kind kind,
                           const void *body)
{
    if (warning->len) {
        api_reply(c, &(struct node_change_reply){.warning = warning->data});
        return;
    }
    if (api_may_change(c, (int)kind, body))
        propose_request(c->daemon->propose, &c->caller, kind, body,
                        c->has_request_id ? c->request_id : NULL, c->begin, PROPOSE_TIMEOUT_MS,
                        on_changed, c);
}

void api_node_set(struct api_call *c, const void *request)
{
    const struct node_set_request *r = request;
    struct node node;
    struct change_node_update change = {.set_availability = true};
    cleanup_buf struct buf warning = BUF_INIT;
    int value = 0;
    while (availability_names[value] && !str_equal(availability_names[value], r->availability))
        value++;
    if (!availability_names[value]) {
        api_fail_with(c, ERR_INVALID, "'%.40s' is not active, pause or drain",
                      str_or_empty(r->availability));
        return;
    }
    if (!get_node(c, r->name, &node))
        return;
    change.node_id = node.id;
    change.node.availability = (enum availability)value;
    if (!r->yes && change.node.availability == AVAILABLE_DRAIN)
        impact_of_drain(c->daemon, &node, &warning);
    record_release(&node_type, &node);
    change_or_warn(c, &warning, CHANGE_NODE_UPDATE, &change);
}

void api_node_remove(struct api_call *c, const void *request)
{
    const struct node_remove_request *r = request;
    struct node node;
    cleanup_buf struct buf warning = BUF_INIT;
    if (!get_node(c, r->name, &node))
        return;
    struct change_node_remove change = {.node_id = node.id, .force = r->force};
    if (!r->yes && (r->force || node.status == NODE_DOWN))
        impact_of_loss(c->daemon, &node, &warning);
    record_release(&node_type, &node);
    change_or_warn(c, &warning, CHANGE_NODE_REMOVE, &change);
}
