/* SPDX-License-Identifier: Apache-2.0 */
#include "node/names_index.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- orders ----------------------------------------------------------------------------------- */

static int compare_ids(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_services(const void *a, const void *b)
{
    const struct named_service *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name ? by_name : strcmp(x->stack, y->stack);
}

static int compare_tasks(const void *a, const void *b)
{
    const struct named_task *x = a, *y = b;
    int by_service = compare_ids(x->service_id, y->service_id);
    return by_service ? by_service : compare_ids(x->id, y->id);
}

static int compare_aliases(const void *a, const void *b)
{
    const struct named_alias *x = a, *y = b;
    int by_alias = strcmp(x->alias, y->alias);
    return by_alias ? by_alias : (x->service > y->service) - (x->service < y->service);
}

static int compare_owners(const void *a, const void *b)
{
    const struct named_owner *x = a, *y = b;
    return netip_compare(&x->address, &y->address);
}

static int compare_nodes(const void *a, const void *b)
{
    return strcmp(((const struct named_node *)a)->name, ((const struct named_node *)b)->name);
}

static int compare_records(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name ? by_name : compare_ids(x->id, y->id);
}

/* --- life ------------------------------------------------------------------------------------- */

static void forget(struct names *names)
{
    for (size_t i = 0; i < names->services_n; i++) {
        free(names->services[i].stack);
        free(names->services[i].name);
        free(names->services[i].addresses);
        free(names->services[i].ports);
    }
    for (size_t i = 0; i < names->tasks_n; i++) {
        free(names->tasks[i].stack);
        free(names->tasks[i].addresses);
    }
    for (size_t i = 0; i < names->aliases_n; i++)
        free(names->aliases[i].alias);
    for (size_t i = 0; i < names->nodes_n; i++)
        free(names->nodes[i].name);
    record_free_list(&dns_record_type, names->records, names->records_n);
    free(names->services);
    free(names->tasks);
    free(names->aliases);
    free(names->owners);
    free(names->nodes);
    free(names->networks);
    *names = (struct names){.store = names->store};
}

struct names *names_new(struct store *store)
{
    struct names *names = mem_alloc(1, sizeof(*names));
    names->store = store;
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    forget(names);
    free(names);
}

void names_on_change(struct names *names, unsigned tables)
{
    const unsigned relevant = 1U << TABLE_SERVICE | 1U << TABLE_TASK | 1U << TABLE_NODE |
                              1U << TABLE_NETWORK | 1U << TABLE_DNS_RECORD;
    if (tables & relevant)
        names->fresh = false;
}

/* --- from rows -------------------------------------------------------------------------------- */

static char *lower(const char *text)
{
    char *copy = str_copy(str_or_empty(text));
    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

static struct named_address *take_addresses(const struct task_address *from, size_t n,
                                            size_t *ret_n)
{
    struct named_address *to = mem_alloc(n, sizeof(*to));
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        to[*ret_n].network_id = from[i].network_id;
        to[*ret_n].address6 = in6addr_any;
        netip_parse(str_or_empty(from[i].address6), &to[*ret_n].address6);
        if (inet_pton(AF_INET, str_or_empty(from[i].address), &to[*ret_n].address) == 1)
            (*ret_n)++;
    }
    return to;
}

/* A range of @id; one that is none is left out. */
static void add_range(struct names *names, const char *prefix, int64_t id, bool internal)
{
    struct named_network network = {.id = id, .internal = internal};
    if (netprefix_parse(prefix, &network.range))
        names->networks[names->networks_n++] = network;
}

static void read_networks(struct names *names)
{
    struct network *rows;
    struct cluster cluster;
    size_t n;
    store_list(names->store, TABLE_NETWORK, BY_NONE, 0, &rows, &n);
    names->networks = mem_alloc(2 * n + 1, sizeof(*names->networks));
    if (store_get(names->store, TABLE_CLUSTER, 1, &cluster) == 0) {
        add_range(names, str_or_empty(cluster.pool), 0, false); /* what is not given out yet */
        record_release(&cluster_type, &cluster);
    }
    for (size_t i = 0; i < n; i++) {
        add_range(names, str_or_empty(rows[i].prefix), rows[i].id, rows[i].internal);
        add_range(names, str_or_empty(rows[i].prefix6), rows[i].id, rows[i].internal);
    }
    record_free_list(&network_type, rows, n);
}

static int64_t network_id(struct names *names, const char *stack,
                          const struct attachment *attachment)
{
    cleanup_free char *name = attachment_network(stack, attachment);
    struct network network;
    if (store_find(names->store, TABLE_NETWORK, name, &network) < 0)
        return 0;
    int64_t id = network.id;
    record_release(&network_type, &network);
    return id;
}

/* What aliases are of is known once the services are in order: until then by id. */
struct alias_of {
    char *alias;
    int64_t network_id;
    int64_t service_id;
};

static void take_aliases(struct names *names, const struct service *row, struct alias_of **list,
                         size_t *n)
{
    for (size_t i = 0; i < row->spec.networks_n; i++) {
        const struct attachment *a = &row->spec.networks[i];
        int64_t id = a->aliases_n > 0 ? network_id(names, row->stack, a) : 0;
        for (size_t k = 0; k < a->aliases_n && id; k++) {
            *list = mem_resize(*list, *n + 1, sizeof(**list));
            (*list)[(*n)++] = (struct alias_of){lower(a->aliases[k]), id, row->id};
        }
    }
}

static size_t find_service(const struct names *names, int64_t id)
{
    for (size_t i = 0; i < names->services_n; i++)
        if (names->services[i].id == id)
            return i;
    return SIZE_MAX;
}

static void settle_aliases(struct names *names, struct alias_of *list, size_t n)
{
    names->aliases = mem_alloc(n, sizeof(*names->aliases));
    for (size_t i = 0; i < n; i++)
        names->aliases[names->aliases_n++] = (struct named_alias){
            list[i].alias, list[i].network_id, find_service(names, list[i].service_id)};
    free(list);
    if (n)
        qsort(names->aliases, n, sizeof(*names->aliases), compare_aliases);
}

static void read_services(struct names *names)
{
    struct service *rows;
    struct alias_of *aliases = NULL;
    size_t n, aliases_n = 0;
    store_list(names->store, TABLE_SERVICE, BY_NONE, 0, &rows, &n);
    names->services = mem_alloc(n, sizeof(*names->services));
    for (size_t i = 0; i < n; i++) {
        struct named_service *s = &names->services[names->services_n];
        if (rows[i].removed)
            continue;
        *s = (struct named_service){.id = rows[i].id,
                                    .stack = str_copy(rows[i].stack),
                                    .name = str_copy(rows[i].name),
                                    .ports = rows[i].spec.ports,
                                    .ports_n = rows[i].spec.ports_n};
        rows[i].spec.ports = NULL;
        rows[i].spec.ports_n = 0;
        s->addresses = take_addresses(rows[i].addresses, rows[i].addresses_n, &s->addresses_n);
        take_aliases(names, &rows[i], &aliases, &aliases_n);
        names->services_n++;
    }
    record_free_list(&service_type, rows, n);
    if (names->services_n)
        qsort(names->services, names->services_n, sizeof(*names->services), compare_services);
    settle_aliases(names, aliases, aliases_n);
}

static void read_tasks(struct names *names)
{
    struct task *rows;
    size_t n;
    store_list(names->store, TABLE_TASK, BY_NONE, 0, &rows, &n);
    names->tasks = mem_alloc(n, sizeof(*names->tasks));
    for (size_t i = 0; i < n; i++) {
        struct named_task *t = &names->tasks[i];
        *t = (struct named_task){.id = rows[i].id,
                                 .service_id = rows[i].service_id,
                                 .slot = rows[i].slot,
                                 .node_id = rows[i].node_id,
                                 .service = SIZE_MAX,
                                 .stack = steal(&rows[i].stack),
                                 .serves =
                                     rows[i].desired == DESIRED_RUN && task_is_healthy(&rows[i])};
        t->addresses = take_addresses(rows[i].addresses, rows[i].addresses_n, &t->addresses_n);
    }
    names->tasks_n = n;
    record_free_list(&task_type, rows, n);
    if (n)
        qsort(names->tasks, n, sizeof(*names->tasks), compare_tasks);
}

/* By service id, both lists once. */
struct by_id {
    int64_t id;
    size_t service;
};

static int compare_by_id(const void *a, const void *b)
{
    return compare_ids(((const struct by_id *)a)->id, ((const struct by_id *)b)->id);
}

static void join_tasks(struct names *names)
{
    struct by_id *ids = mem_alloc(names->services_n, sizeof(*ids));
    size_t next = 0;
    for (size_t i = 0; i < names->services_n; i++)
        ids[i] = (struct by_id){names->services[i].id, i};
    if (names->services_n)
        qsort(ids, names->services_n, sizeof(*ids), compare_by_id);
    for (size_t i = 0; i < names->services_n; i++) {
        struct named_service *s = &names->services[ids[i].service];
        while (next < names->tasks_n && names->tasks[next].service_id < s->id)
            next++;
        s->first_task = next;
        for (; next < names->tasks_n && names->tasks[next].service_id == s->id; next++)
            names->tasks[next].service = ids[i].service;
        s->tasks_n = next - s->first_task;
    }
    free(ids);
}

/* @a is of that task or service. */
static void add_owner(struct names *names, const struct named_address *a, size_t task,
                      size_t service)
{
    names->owners[names->owners_n++] =
        (struct named_owner){netip_from4(a->address), a->network_id, task, service};
    if (!netip_is_none(&a->address6))
        names->owners[names->owners_n++] =
            (struct named_owner){a->address6, a->network_id, task, service};
}

static void read_owners(struct names *names)
{
    size_t n = 0;
    for (size_t i = 0; i < names->tasks_n; i++)
        n += names->tasks[i].addresses_n;
    for (size_t i = 0; i < names->services_n; i++)
        n += names->services[i].addresses_n;
    names->owners = mem_alloc(2 * n, sizeof(*names->owners));
    for (size_t i = 0; i < names->tasks_n; i++)
        for (size_t k = 0; k < names->tasks[i].addresses_n; k++)
            add_owner(names, &names->tasks[i].addresses[k], i, SIZE_MAX);
    for (size_t i = 0; i < names->services_n; i++)
        for (size_t k = 0; k < names->services[i].addresses_n; k++)
            add_owner(names, &names->services[i].addresses[k], SIZE_MAX, i);
    if (n)
        qsort(names->owners, names->owners_n, sizeof(*names->owners), compare_owners);
}

static void read_nodes(struct names *names)
{
    struct node *rows;
    size_t n;
    store_list(names->store, TABLE_NODE, BY_NONE, 0, &rows, &n);
    names->nodes = mem_alloc(n, sizeof(*names->nodes));
    for (size_t i = 0; i < n; i++) {
        struct named_node *to = &names->nodes[names->nodes_n];
        char ip[64];
        str_fill(ip, sizeof(ip), str_or_empty(rows[i].address));
        ip[strcspn(ip, ":")] = '\0';
        if (inet_pton(AF_INET, ip, &to->address) != 1)
            continue;
        to->id = rows[i].id;
        to->name = lower(rows[i].name);
        names->nodes_n++;
    }
    record_free_list(&node_type, rows, n);
    if (names->nodes_n)
        qsort(names->nodes, names->nodes_n, sizeof(*names->nodes), compare_nodes);
}

void names_refresh(struct names *names)
{
    if (names->fresh)
        return;
    forget(names);
    read_networks(names);
    read_services(names);
    read_tasks(names);
    join_tasks(names);
    read_owners(names);
    read_nodes(names);
    store_list(names->store, TABLE_DNS_RECORD, BY_NONE, 0, &names->records, &names->records_n);
    if (names->records_n)
        qsort(names->records, names->records_n, sizeof(*names->records), compare_records);
    names->fresh = true;
}

const struct named_owner *names_owner(const struct names *names, const struct in6_addr *address)
{
    const struct named_owner key = {.address = *address};
    return names->owners_n
               ? bsearch(&key, names->owners, names->owners_n, sizeof(key), compare_owners)
               : NULL;
}
