/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of services: one in each network that stands for all healthy tasks, and those that
 * the spec asks for by number. */
#include "store/address.h"
#include "store/address6.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

static bool wants_address(struct apply *apply, const struct service *service)
{
    return store_level(apply->store) >= 5 && !service->removed &&
           service->spec.endpoint_mode != ENDPOINT_DNSRR && !mode_is_job(service->spec.mode);
}

static void add(struct task_address **list, size_t *n, int64_t network_id, char *owned,
                char *owned6)
{
    *list = mem_resize(*list, *n + 1, sizeof(**list));
    (*list)[(*n)++] =
        (struct task_address){.network_id = network_id, .address = owned, .address6 = owned6};
}

static const struct task_address *find(const struct task_address *list, size_t n,
                                       int64_t network_id)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].network_id == network_id)
            return &list[i];
    return NULL;
}

/* An address on the machines' own link is no machine's, and is given out only of a part that is the
 * cluster's. */
static int check_lan(struct apply *apply, const struct service *service,
                     const struct network *network, const char *asked, struct err *err)
{
    struct node *nodes;
    size_t n;
    int rv = 0;
    if (!network->lan.on)
        return 0;
    if (!*asked && !*str_or_empty(network->ip_range))
        return err_set(
            err, ERR_INVALID,
            "service %s.%s: network %s is on the machines' own link: give it an ip_range "
            "that nobody else has there, or the service an ipv4_address",
            service->stack, service->name, network->name);
    store_list(apply->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && rv == 0; i++) {
        const char *address = str_or_empty(nodes[i].address);
        size_t len = strcspn(address, ":");
        if (*asked && strlen(asked) == len && strncmp(asked, address, len) == 0)
            rv = err_set(err, ERR_EXISTS, "service %s.%s: %s is the address of member %s",
                         service->stack, service->name, asked, nodes[i].name);
    }
    record_free_list(&node_type, nodes, n);
    return rv;
}

/* What @service is to have in one network; *@ret_lan tells whether that is on the machines' link.
 */
static int settle_one(struct apply *apply, const struct service *service,
                      const struct attachment *attachment, struct service *to, bool *ret_lan,
                      struct err *err)
{
    cleanup_free char *name = attachment_network(service->stack, attachment);
    const char *asked = str_or_empty(attachment->address);
    const char *asked6 = str_or_empty(attachment->address6);
    struct network network;
    int rv = 0;
    *ret_lan = false;
    if (store_find(apply->store, TABLE_NETWORK, name, &network) < 0)
        return 0; /* a spec of before, rolled back to: its tasks cannot be placed, which says so */
    if (*asked && !network.own_range)
        rv = err_set(err, ERR_INVALID,
                     "service %s.%s: network %s needs a subnet of its own for the address %s in it",
                     service->stack, service->name, name, asked);
    else if (*asked)
        rv = address_claim(apply->store, &network, asked, service->id, err);
    if (rv == 0)
        rv = check_lan(apply, service, &network, asked, err);
    if (rv == 0 && *asked6)
        rv = address6_claim(apply->store, &network, asked6, service->id, err);
    if (rv == 0 && (*asked || *asked6))
        add(&to->reserved, &to->reserved_n, network.id, *asked ? str_copy(asked) : NULL,
            *asked6 ? str_copy(asked6) : NULL);
    *ret_lan = network.lan.on;
    if (rv == 0 && !network.lan.on && wants_address(apply, service)) {
        const struct task_address *had = find(service->addresses, service->addresses_n, network.id);
        char *address = had ? str_copy(had->address) : NULL;
        if (!address)
            rv = address_take(apply->store, &network, service->id, &address, err);
        if (rv == 0)
            add(&to->addresses, &to->addresses_n, network.id, address,
                address6_make(&network, address));
    }
    record_release(&network_type, &network);
    return rv;
}

/* Those of @had that are not in @has. */
static void drop_others(struct apply *apply, const struct task_address *had, size_t had_n,
                        const struct task_address *has, size_t has_n, int64_t owner_id)
{
    for (size_t i = 0; i < had_n; i++) {
        const struct task_address *kept = find(has, has_n, had[i].network_id);
        struct task_address gone = had[i]; /* shallow */
        if (kept && str_equal(str_or_empty(kept->address), str_or_empty(gone.address)))
            gone.address = NULL;
        if (kept && str_equal(str_or_empty(kept->address6), str_or_empty(gone.address6)))
            gone.address6 = NULL;
        addresses_return(apply->store, &gone, 1, owner_id);
    }
}

/* An address of IPv4 that stays may have had the number of one of IPv6 that went, or the other way
 * round: the number is its own again. */
static void claim_again(struct apply *apply, const struct service *to, int64_t owner_id)
{
    for (size_t i = 0; i < to->reserved_n; i++) {
        const struct task_address *a = &to->reserved[i];
        struct network network;
        struct err err;
        check(store_get(apply->store, TABLE_NETWORK, a->network_id, &network) == 0);
        if (*str_or_empty(a->address))
            check(address_claim(apply->store, &network, a->address, owner_id, &err) == 0);
        if (*str_or_empty(a->address6))
            check(address6_claim(apply->store, &network, a->address6, owner_id, &err) == 0);
        record_release(&network_type, &network);
    }
}

static bool same_addresses(const struct task_address *a, size_t a_n, const struct task_address *b,
                           size_t b_n)
{
    bool same = a_n == b_n;
    for (size_t i = 0; i < a_n && same; i++)
        same = record_equal(&task_address_type, &a[i], &b[i]);
    return same;
}

int service_settle_addresses(struct apply *apply, struct service *service, struct err *err)
{
    struct service to = {0}; /* only its addresses are used */
    int rv = 0;
    if (service->addresses_n == 0 && service->reserved_n == 0 && store_level(apply->store) < 5)
        return 0;
    size_t lans = 0;
    for (size_t i = 0; i < service->spec.networks_n && rv == 0; i++) {
        bool lan;
        rv = settle_one(apply, service, &service->spec.networks[i], &to, &lan, err);
        lans += lan;
    }
    if (rv == 0 && lans > 0 && lans == service->spec.networks_n)
        rv = err_set(err, ERR_INVALID,
                     "service %s.%s is in macvlan networks alone: name one of the cluster's too, "
                     "such as default, for names and health",
                     service->stack, service->name);
    if (rv == 0) {
        drop_others(apply, service->addresses, service->addresses_n, to.addresses, to.addresses_n,
                    service->id);
        drop_others(apply, service->reserved, service->reserved_n, to.reserved, to.reserved_n,
                    service->id);
        claim_again(apply, &to, service->id);
        bool same =
            same_addresses(service->addresses, service->addresses_n, to.addresses,
                           to.addresses_n) &&
            same_addresses(service->reserved, service->reserved_n, to.reserved, to.reserved_n);
        if (!same) {
            struct service before = *service;
            service->addresses = to.addresses;
            service->addresses_n = to.addresses_n;
            service->reserved = to.reserved;
            service->reserved_n = to.reserved_n;
            to.addresses = before.addresses;
            to.addresses_n = before.addresses_n;
            to.reserved = before.reserved;
            to.reserved_n = before.reserved_n;
            apply_put(apply, TABLE_SERVICE, service);
        }
    }
    record_free_list(&task_address_type, to.addresses, to.addresses_n);
    record_free_list(&task_address_type, to.reserved, to.reserved_n);
    return rv;
}

void service_drop_addresses(struct apply *apply, const struct service *service)
{
    addresses_return(apply->store, service->addresses, service->addresses_n, service->id);
    addresses_return(apply->store, service->reserved, service->reserved_n, service->id);
}
