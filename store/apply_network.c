/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: those of a stack, and those made by hand, which any stack may be in. */
#include "store/address.h"
#include "store/address6.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/netip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    NETWORKS_MAX = 20000,
    LINK_NAME_MAX = 15, /* IFNAMSIZ - 1 */
};

static int check_name(const char *name, struct err *err)
{
    if (content_name_is_valid(name) && strlen(name) <= 127)
        return 0;
    return err_set(
        err, ERR_INVALID,
        "\"%.130s\" is no name for a network: letters, digits, '_', '.' and '-', at most "
        "%d",
        name, CONTENT_NAME_MAX);
}

int network_given_check(const struct deploy_network *given, struct err *err)
{
    int rv = check_name(str_or_empty(given->name), err);
    if (rv == 0 && *str_or_empty(given->ip_range) && !*str_or_empty(given->prefix))
        rv = err_set(err, ERR_INVALID, "network %s: ip_range needs a subnet", given->name);
    return rv;
}

int network_attach_check(const struct network *network, int64_t stack_id, const char *object,
                         struct err *err)
{
    if (network->stack_id == 0 || network->stack_id == stack_id || network->attachable)
        return 0;
    return err_set(err, ERR_DENIED,
                   "%s: network %s belongs to another stack; give it 'attachable: true' there, or "
                   "make one for both with 'wherry network create'",
                   object, network->name);
}

/* A network that is a link of the machines says which addresses are there. */
static int check_lan(const struct network *network, bool ipv6, struct err *err)
{
    const struct lan_spec *lan = &network->lan;
    const char *parent = str_or_empty(lan->parent), *gateway = str_or_empty(lan->gateway);
    struct network_prefix range;
    struct in6_addr address;
    const char *why = NULL;
    if (!lan->on)
        return 0;
    if (!*str_or_empty(network->prefix))
        why = "needs the subnet that the link has";
    else if (ipv6)
        why = "takes no subnet of IPv6: what is in it has what the link's routers advertise";
    else if (network->internal)
        why = "cannot be internal: leave the gateway out instead";
    else if (strlen(parent) > LINK_NAME_MAX || strpbrk(parent, " /:\t\n") ||
             str_equal(parent, ".") || str_equal(parent, ".."))
        why = "has a parent that is no name of a link";
    else if (*gateway &&
             (!netip_parse(gateway, &address) || !netip_is4(&address) ||
              !netprefix_parse(network->prefix, &range) || !netprefix_contains(&range, &address)))
        why = "has a gateway that is no address of its subnet";
    return why ? err_set(err, ERR_INVALID, "network %s, a macvlan, %s", network->name, why) : 0;
}

/* The gateway of @network is nobody else's. */
static void keep_gateway(struct apply *apply, const struct network *network)
{
    struct err err;
    if (network->lan.on && *str_or_empty(network->lan.gateway))
        address_claim(apply->store, network, network->lan.gateway, network->id, &err);
}

/* A new row with its range, and one of IPv6: @network->prefix6, or if that is "" one of ours. */
static int create(struct apply *apply, struct network *network, bool ipv6, struct err *err)
{
    struct cluster cluster;
    int rv = 0;
    if (store_count(apply->store, TABLE_NETWORK) >= NETWORKS_MAX)
        return err_set(err, ERR_TOOBIG, "there are %d networks already", NETWORKS_MAX);
    if (*str_or_empty(network->prefix)) {
        rv = own_range_check(apply->store, network->prefix, str_or_empty(network->ip_range), err);
        if (rv < 0)
            return err_wrap(err, "network %s", network->name);
        network->own_range = true;
    }
    if (check_lan(network, ipv6, err) < 0)
        return err->code;
    network->id = apply_next_id(apply);
    if (!network->own_range) {
        check(store_get(apply->store, TABLE_CLUSTER, 1, &cluster) == 0);
        free(network->prefix);
        network->prefix = NULL;
        rv = prefix_take(apply->store, cluster.pool, network->id, &network->prefix, err);
        record_release(&cluster_type, &cluster);
    }
    if (rv == 0 && ipv6) {
        cleanup_free char *asked = steal(&network->prefix6);
        network->own_range6 = *str_or_empty(asked) != '\0';
        rv = prefix6_make(apply->store, network, str_or_empty(asked), &network->prefix6, err);
        if (rv < 0)
            err_wrap(err, "network %s", network->name);
    }
    if (rv == 0) {
        keep_gateway(apply, network);
        apply_put(apply, TABLE_NETWORK, network);
    }
    return rv;
}

/* --- of a stack ---------------------------------------------------------------------------- */

static void describe(const struct deploy_network *given, struct network *network)
{
    network->internal = given->internal;
    network->attachable = given->attachable;
    record_release(&lan_spec_type, &network->lan);
    record_copy(&lan_spec_type, &given->lan, &network->lan);
    record_free_list(&pair_type, network->labels, network->labels_n);
    network->labels = mem_alloc(given->labels_n, sizeof(*network->labels));
    network->labels_n = given->labels_n;
    for (size_t i = 0; i < given->labels_n; i++)
        record_copy(&pair_type, &given->labels[i], &network->labels[i]);
}

/* True when some of @addresses are of @network. */
static bool readdress_list(const struct network *network, struct task_address *addresses, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (addresses[i].network_id != network->id)
            continue;
        free(addresses[i].address6);
        addresses[i].address6 = address6_make(network, addresses[i].address);
        any = true;
    }
    return any;
}

/* Give what is in @network its addresses of IPv6, or take them away, without a restart. */
static void readdress(struct apply *apply, const struct network *network)
{
    struct task *tasks;
    struct service *services;
    size_t n;
    store_list(apply->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n; i++)
        if (readdress_list(network, tasks[i].addresses, tasks[i].addresses_n))
            apply_put(apply, TABLE_TASK, &tasks[i]);
    record_free_list(&task_type, tasks, n);
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n; i++)
        if (readdress_list(network, services[i].addresses, services[i].addresses_n))
            apply_put(apply, TABLE_SERVICE, &services[i]);
    record_free_list(&service_type, services, n);
}

/* IPv6 comes and goes with what the file says. */
static int settle_ipv6(struct apply *apply, struct network *network,
                       const struct deploy_network *given, struct err *err)
{
    const char *asked = str_or_empty(given->prefix6);
    bool has = *str_or_empty(network->prefix6);
    if (has == given->ipv6) {
        if (!has || (*asked ? str_equal(asked, network->prefix6) : !network->own_range6))
            return 0;
        return err_set(err, ERR_CONFLICT,
                       "network %s has the range %s, and its tasks their addresses: remove the "
                       "stack first, or name the network anew",
                       network->name, network->prefix6);
    }
    free(steal(&network->prefix6));
    network->own_range6 = given->ipv6 && *asked;
    if (given->ipv6 && prefix6_make(apply->store, network, asked, &network->prefix6, err) < 0)
        return err_wrap(err, "network %s", network->name);
    apply_put(apply, TABLE_NETWORK, network);
    readdress(apply, network);
    return 0;
}

static int redescribe(struct apply *apply, struct network *network, const struct stack *stack,
                      const struct deploy_network *given, struct err *err)
{
    if (network->stack_id != stack->id)
        return err_set(err, ERR_EXISTS, "network %s %s; rename one of them, or declare it external",
                       network->name,
                       network->stack_id == 0 ? "was made by hand" : "belongs to another stack");
    if (given->lan.on != network->lan.on)
        return err_set(err, ERR_CONFLICT,
                       "network %s %s a macvlan: remove the stack first, or name the network anew",
                       network->name, network->lan.on ? "is" : "is not");
    bool same = *str_or_empty(given->prefix) ? str_equal(given->prefix, network->prefix)
                                             : !network->own_range;
    if (!same)
        return err_set(err, ERR_CONFLICT,
                       "network %s has the range %s, and its tasks their addresses: remove the "
                       "stack first, or name the network anew",
                       network->name, network->prefix);
    if (settle_ipv6(apply, network, given, err) < 0)
        return err->code;
    struct network before;
    record_copy(&network_type, network, &before);
    describe(given, network);
    free(network->ip_range);
    network->ip_range = *str_or_empty(given->ip_range) ? str_copy(given->ip_range) : NULL;
    int rv = check_lan(network, given->ipv6, err);
    if (rv == 0)
        keep_gateway(apply, network);
    if (rv == 0 && !record_equal(&network_type, &before, network))
        apply_put(apply, TABLE_NETWORK, network);
    record_release(&network_type, &before);
    return rv;
}

int network_deploy(struct apply *apply, const struct stack *stack,
                   const struct deploy_network *given, struct err *err)
{
    char *name = given->full ? str_copy(given->name)
                             : str_printf("%s_%s", stack->name, str_or_empty(given->name));
    struct network network;
    int rv;
    if (store_find(apply->store, TABLE_NETWORK, name, &network) < 0) {
        network = (struct network){.stack_id = stack->id, .name = steal(&name)};
        if (*str_or_empty(given->prefix))
            network.prefix = str_copy(given->prefix);
        if (*str_or_empty(given->ip_range))
            network.ip_range = str_copy(given->ip_range);
        if (*str_or_empty(given->prefix6))
            network.prefix6 = str_copy(given->prefix6);
        describe(given, &network);
        rv = create(apply, &network, given->ipv6, err);
    } else {
        rv = redescribe(apply, &network, stack, given, err);
    }
    record_release(&network_type, &network);
    free(name);
    return rv;
}

/* --- by hand ------------------------------------------------------------------------------- */

int apply_network_create(struct apply *apply, const struct change_network_create *change,
                         struct err *err)
{
    struct network network;
    const char *name = str_or_empty(change->network.name);
    int rv = check_name(name, err);
    if (rv < 0)
        return rv;
    if (store_find(apply->store, TABLE_NETWORK, name, &network) == 0) {
        record_release(&network_type, &network);
        return err_set(err, ERR_EXISTS, "there is a network %s already", name);
    }
    record_copy(&network_type, &change->network, &network);
    network.stack_id = 0;
    network.created_index = 0;
    network.own_range = network.own_range6 = false;
    rv = create(apply, &network, change->ipv6, err);
    if (rv == 0) {
        apply->made = network.id;
        apply_event(apply, "network", name, "created, %s", network.prefix);
    }
    record_release(&network_type, &network);
    return rv;
}

/* The service that is in @network, "app.web" as a new string, or NULL. */
static char *user_of(struct apply *apply, const struct network *network)
{
    struct service *services;
    size_t n;
    char *user = NULL;
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n && !user; i++)
        for (size_t k = 0; k < services[i].spec.networks_n && !user; k++) {
            cleanup_free char *name =
                attachment_network(services[i].stack, &services[i].spec.networks[k]);
            if (strcmp(name, network->name) == 0)
                user = service_title(&services[i]);
        }
    record_free_list(&service_type, services, n);
    return user;
}

/* A task of an earlier revision, "app.web.2" as a new string, or NULL. */
static char *task_in(struct apply *apply, const struct network *network)
{
    struct task *tasks;
    size_t n;
    char *user = NULL;
    store_list(apply->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n && !user; i++)
        for (size_t k = 0; k < tasks[i].addresses_n && !user; k++)
            if (tasks[i].addresses[k].network_id == network->id)
                user = task_title(&tasks[i]);
    record_free_list(&task_type, tasks, n);
    return user;
}

static int remove_network(struct apply *apply, const struct network *network, struct err *err)
{
    if (network->stack_id != 0)
        return err_set(err, ERR_DENIED, "network %s belongs to a stack and goes with it",
                       network->name);
    cleanup_free char *service = user_of(apply, network);
    cleanup_free char *task = service ? NULL : task_in(apply, network);
    if (service || task)
        return err_set(err, ERR_CONFLICT, "network %s is in use by %s", network->name,
                       service ? service : task);
    prefix_free(apply->store, network);
    apply_delete(apply, TABLE_NETWORK, network->id);
    apply_event(apply, "network", network->name, "removed");
    return 0;
}

int apply_network_remove(struct apply *apply, const struct change_network_remove *change,
                         struct err *err)
{
    struct network network;
    const char *name = str_or_empty(change->name);
    if (store_find(apply->store, TABLE_NETWORK, name, &network) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no network %.130s", name);
    int rv = remove_network(apply, &network, err);
    record_release(&network_type, &network);
    return rv;
}
