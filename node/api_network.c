/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about networks and the users' own records of DNS. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/netsync.h"
#include "node/records.h"
#include "store/level.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    ELSEWHERE_MS = 3000,
};

/* False after the call failed because some member does not know networks and records of this
 * release. */
static bool is_level_fine(struct api_call *c, int level)
{
    if (store_level(c->daemon->store) >= level)
        return true;
    api_fail_with(c, ERR_UNAVAILABLE,
                  "this needs members that are all of this release: upgrade the others first "
                  "('wherry node ls' shows versions)");
    return false;
}

/* --- networks --------------------------------------------------------------------------------- */

void api_network_create(struct api_call *c, const void *request)
{
    const struct network_create_request *r = request;
    struct change_network_create change = {.network = {.name = r->name,
                                                       .prefix = r->subnet,
                                                       .ip_range = r->ip_range,
                                                       .prefix6 = r->subnet6,
                                                       .internal = r->internal,
                                                       .lan = r->lan,
                                                       .attachable = true,
                                                       .labels = r->labels,
                                                       .labels_n = r->labels_n},
                                           .ipv6 = r->ipv6};
    if (is_level_fine(c, r->lan.on ? 7 : r->ipv6 ? 6 : 5))
        api_propose(c, CHANGE_NETWORK_CREATE, &change);
}

void api_network_remove(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct change_network_remove change = {.name = r->name};
    if (is_level_fine(c, 5))
        api_propose(c, CHANGE_NETWORK_REMOVE, &change);
}

void api_network_status(struct api_call *c, const void *request)
{
    const struct network_status_request *r = request;
    struct network_status_reply reply = {0};
    if (call_elsewhere(c, r->node, request, ELSEWHERE_MS))
        return;
    if (!c->daemon->netsync) {
        api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and has no network", c->daemon->name);
        return;
    }
    netsync_describe(c->daemon->netsync, &reply);
    api_reply(c, &reply);
    record_release(&network_status_reply_type, &reply);
}

/* How many addresses a range has for tasks and services. */
static int64_t size_of(const struct network *network)
{
    const char *range =
        *str_or_empty(network->ip_range) ? network->ip_range : str_or_empty(network->prefix);
    const char *slash = strchr(range, '/');
    int bits = slash ? atoi(slash + 1) : 32;
    int64_t all = (int64_t)1 << (32 - bits);
    /* Some hosts take .0 and .255 for special: those are not given out. */
    return bits >= 24 ? all - 3 : all - 2 * (all / 256) - 1;
}

static void add_member(struct network_info *info, char *owned_name,
                       const struct task_address *address, const char *node)
{
    info->members = mem_resize(info->members, info->members_n + 1, sizeof(*info->members));
    info->members[info->members_n++] = (struct network_member){
        .name = owned_name,
        .address = str_copy(address->address),
        .address6 = *str_or_empty(address->address6) ? str_copy(address->address6) : NULL,
        .node = str_copy(node)};
}

static bool is_in(const struct task_address *addresses, size_t n, int64_t network_id,
                  const struct task_address **ret)
{
    for (size_t i = 0; i < n; i++)
        if (addresses[i].network_id == network_id) {
            *ret = &addresses[i];
            return true;
        }
    return false;
}

/* Who is in networks, read once. */
struct users {
    struct service *services;
    size_t services_n;
    struct task *tasks;
    size_t tasks_n;
};

static void count_users(struct api_call *c, const struct users *users, int64_t network_id,
                        bool whole, struct network_info *info)
{
    const struct task_address *address;
    for (size_t i = 0; i < users->services_n; i++) {
        const struct service *s = &users->services[i];
        if (!is_in(s->addresses, s->addresses_n, network_id, &address))
            continue;
        info->used++;
        if (whole && caller_sees(&c->caller, s->stack))
            add_member(info, str_printf("%s.%s", s->stack, s->name), address, "");
    }
    for (size_t i = 0; i < users->tasks_n; i++) {
        const struct task *t = &users->tasks[i];
        struct node node;
        if (!is_in(t->addresses, t->addresses_n, network_id, &address))
            continue;
        info->used++;
        if (!whole || !caller_sees(&c->caller, t->stack))
            continue;
        bool known = store_get(c->daemon->store, TABLE_NODE, t->node_id, &node) == 0;
        add_member(info, str_printf("%s.%s.%lld", t->stack, t->service, (long long)t->slot),
                   address, known ? node.name : "");
        if (known)
            record_release(&node_type, &node);
    }
}

/* Moves what @network owns into @info. */
static void describe(struct api_call *c, struct network *network, const struct users *users,
                     bool whole, struct network_info *info)
{
    struct stack stack;
    const int64_t addresses = size_of(network); /* before its texts are given away */
    *info = (struct network_info){.addresses = addresses,
                                  .name = steal(&network->name),
                                  .subnet = steal(&network->prefix),
                                  .ip_range = steal(&network->ip_range),
                                  .subnet6 = steal(&network->prefix6),
                                  .internal = network->internal,
                                  .attachable = network->attachable,
                                  .lan = network->lan,
                                  .labels = network->labels,
                                  .labels_n = network->labels_n};
    network->lan = (struct lan_spec){0};
    network->labels = NULL;
    network->labels_n = 0;
    if (store_get(c->daemon->store, TABLE_STACK, network->stack_id, &stack) == 0) {
        info->stack = steal(&stack.name);
        record_release(&stack_type, &stack);
    }
    count_users(c, users, network->id, whole, info);
}

static bool sees(struct api_call *c, const struct network *network)
{
    struct stack stack;
    if (network->stack_id == 0 ||
        store_get(c->daemon->store, TABLE_STACK, network->stack_id, &stack) < 0)
        return true;
    bool may = caller_sees(&c->caller, stack.name);
    record_release(&stack_type, &stack);
    return may;
}

void api_network_list(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    const char *wanted = str_or_empty(r->name);
    struct network_list_reply reply = {0};
    struct network *rows;
    struct users users;
    size_t n;
    store_list(c->daemon->store, TABLE_NETWORK, BY_NONE, 0, &rows, &n);
    store_list(c->daemon->store, TABLE_SERVICE, BY_NONE, 0, &users.services, &users.services_n);
    store_list(c->daemon->store, TABLE_TASK, BY_NONE, 0, &users.tasks, &users.tasks_n);
    reply.networks = mem_alloc(n, sizeof(*reply.networks));
    for (size_t i = 0; i < n; i++)
        if (sees(c, &rows[i]) && (!*wanted || str_equal(rows[i].name, wanted)))
            describe(c, &rows[i], &users, *wanted != '\0', &reply.networks[reply.networks_n++]);
    record_free_list(&network_type, rows, n);
    record_free_list(&service_type, users.services, users.services_n);
    record_free_list(&task_type, users.tasks, users.tasks_n);
    if (*wanted && reply.networks_n == 0)
        api_fail_with(c, ERR_NOTFOUND, "there is no network %.130s", wanted);
    else
        api_reply(c, &reply);
    record_release(&network_list_reply_type, &reply);
}

/* --- records of DNS --------------------------------------------------------------------------- */

void api_dns_set(struct api_call *c, const void *request)
{
    const struct dns_request *r = request;
    struct err err = {0};
    char *name = NULL, *type = NULL, *value = NULL;
    if (!is_level_fine(c, 5))
        return;
    if (record_check(r->name, r->type, r->value, &name, &type, &value, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct change_dns_set change = {
        .name = name, .type = type, .value = value, .ttl = r->ttl ? r->ttl : DNS_TTL_DEFAULT};
    api_propose(c, CHANGE_DNS_SET, &change);
    free(name);
    free(type);
    free(value);
}

void api_dns_remove(struct api_call *c, const void *request)
{
    const struct dns_request *r = request;
    struct err err = {0};
    char *name = NULL, *type = NULL, *value = NULL;
    if (record_check_name(r->name, &name, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    type = record_type_name(str_or_empty(r->type));
    if (*str_or_empty(r->value) &&
        record_check(r->name, type, r->value, NULL, NULL, &value, &err) < 0) {
        api_fail(c, &err);
    } else {
        struct change_dns_remove change = {.name = name, .type = type, .value = value};
        api_propose(c, CHANGE_DNS_REMOVE, &change);
    }
    free(name);
    free(type);
    free(value);
}

void api_dns_list(struct api_call *c, const void *request)
{
    struct dns_list_reply reply = {0};
    struct dns_record *rows;
    (void)request;
    store_list(c->daemon->store, TABLE_DNS_RECORD, BY_NONE, 0, &rows, &reply.records_n);
    reply.records = mem_alloc(reply.records_n, sizeof(*reply.records));
    for (size_t i = 0; i < reply.records_n; i++)
        reply.records[i] = (struct dns_info){.name = steal(&rows[i].name),
                                             .type = steal(&rows[i].type),
                                             .value = steal(&rows[i].value),
                                             .ttl = rows[i].ttl,
                                             .created_ms = rows[i].created_ms};
    record_free_list(&dns_record_type, rows, reply.records_n);
    api_reply(c, &reply);
    record_release(&dns_list_reply_type, &reply);
}
