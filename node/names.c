/* SPDX-License-Identifier: Apache-2.0 */
#include "node/names.h"

#include "base/mem.h"
#include "node/names_index.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LABELS_MAX = 8,
    SERVICES_MAX = 64, /* that one name may mean */
};

/* --- who asks --------------------------------------------------------------------------------- */

/* NULL: no task, in all networks. */
static const struct named_task *find_asker(const struct names *names, struct in_addr from)
{
    const struct in6_addr address = netip_from4(from);
    const struct named_owner *owner = names_owner(names, &address);
    return owner && owner->task != SIZE_MAX ? &names->tasks[owner->task] : NULL;
}

static bool is_in(const struct named_task *asker, int64_t network_id)
{
    for (size_t i = 0; asker && i < asker->addresses_n; i++)
        if (asker->addresses[i].network_id == network_id)
            return true;
    return !asker;
}

/* The first of @list that is in a network of the asker's, in the order of the asker's networks. */
static const struct named_address *shared(const struct named_task *asker,
                                          const struct named_address *list, size_t n)
{
    if (!asker)
        return n > 0 ? &list[0] : NULL;
    for (size_t i = 0; i < asker->addresses_n; i++)
        for (size_t k = 0; k < n; k++)
            if (list[k].network_id == asker->addresses[i].network_id)
                return &list[k];
    return NULL;
}

/* --- what is asked for ------------------------------------------------------------------------ */

/* A name taken apart. */
struct question {
    char whole[NAME_BYTES]; /* in lower case, without the last dot */
    char text[NAME_BYTES];
    char *labels[LABELS_MAX];
    size_t n;
    const char *service;
    int64_t slot;      /* 0: any */
    const char *stack; /* NULL: the asker's */
    bool tasks;        /* its tasks, whatever its address */
    int64_t port;      /* of "_PORT._PROTO."; 0: any */
};

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) < 10;
}

static bool split(const char *name, struct question *q)
{
    *q = (struct question){0};
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len >= sizeof(q->whole))
        return false;
    for (size_t i = 0; i < len; i++)
        q->whole[i] = (char)tolower((unsigned char)name[i]);
    memcpy(q->text, q->whole, sizeof(q->text));
    char *save = NULL;
    for (char *l = strtok_r(q->text, ".", &save); l; l = strtok_r(NULL, ".", &save)) {
        if (q->n == LABELS_MAX)
            return true; /* too many to be a service's; it may be an alias */
        q->labels[q->n++] = l;
    }
    return q->n > 0;
}

/* service[.slot][.stack] of the labels from @first on. */
static bool parse_service(struct question *q, size_t first)
{
    size_t next = first;
    if (next >= q->n)
        return false;
    q->service = q->labels[next++];
    q->slot = 0;
    q->stack = NULL;
    if (next < q->n && is_number(q->labels[next]))
        q->slot = atoll(q->labels[next++]);
    if (next < q->n)
        q->stack = q->labels[next++];
    return next == q->n;
}

/* "_8080._tcp." before a name. */
static size_t parse_port(struct question *q)
{
    if (q->n < 3 || q->labels[0][0] != '_' || !is_number(q->labels[0] + 1) ||
        (strcmp(q->labels[1], "_tcp") != 0 && strcmp(q->labels[1], "_udp") != 0))
        return 0;
    q->port = atoll(q->labels[0] + 1);
    return q->port <= 65535 ? 2 : 0;
}

/* --- services that are meant ------------------------------------------------------------------ */

struct meant {
    const struct named_service *services[SERVICES_MAX];
    size_t n;
};

static void add_meant(struct meant *meant, const struct named_service *service)
{
    for (size_t i = 0; i < meant->n; i++)
        if (meant->services[i] == service)
            return;
    if (meant->n < SERVICES_MAX)
        meant->services[meant->n++] = service;
}

/* The first service called @name; those of other stacks follow it. */
static size_t first_named(const struct names *names, const char *name)
{
    size_t low = 0, high = names->services_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->services[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool shares_network(const struct names *names, const struct named_task *asker,
                           const struct named_service *s)
{
    if (shared(asker, s->addresses, s->addresses_n))
        return true;
    for (size_t i = 0; i < s->tasks_n; i++) {
        const struct named_task *t = &names->tasks[s->first_task + i];
        if (shared(asker, t->addresses, t->addresses_n))
            return true;
    }
    return false;
}

/* By name: of @stack, or with NULL of all stacks that share a network with the asker. */
static void find_named(const struct names *names, const struct named_task *asker, const char *name,
                       const char *stack, struct meant *meant)
{
    for (size_t i = first_named(names, name);
         i < names->services_n && strcmp(names->services[i].name, name) == 0; i++)
        if (stack ? strcmp(names->services[i].stack, stack) == 0
                  : shares_network(names, asker, &names->services[i]))
            add_meant(meant, &names->services[i]);
}

/* By alias, in the asker's networks; of @stack unless that is NULL. */
static void find_aliases(const struct names *names, const struct named_task *asker,
                         const char *alias, const char *stack, struct meant *meant)
{
    size_t low = 0, high = names->aliases_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->aliases[middle].alias, alias) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < names->aliases_n && strcmp(names->aliases[low].alias, alias) == 0; low++) {
        const struct named_alias *a = &names->aliases[low];
        if (a->service != SIZE_MAX && is_in(asker, a->network_id) &&
            (!stack || strcmp(names->services[a->service].stack, stack) == 0))
            add_meant(meant, &names->services[a->service]);
    }
}

/* Services that the labels from @first on mean. */
static void find_meant(const struct names *names, const struct named_task *asker,
                       struct question *q, size_t first, struct meant *meant)
{
    meant->n = 0;
    if (!parse_service(q, first))
        return;
    const char *own = asker ? asker->stack : NULL;
    if (q->stack || own)
        find_named(names, asker, q->service, q->stack ? q->stack : own, meant);
    if (meant->n == 0 && !q->slot)
        find_aliases(names, asker, q->service, q->stack, meant);
    if (meant->n == 0 && !q->stack && asker)
        find_named(names, asker, q->service, NULL, meant);
}

/* --- answers ---------------------------------------------------------------------------------- */

static const struct named_node *node_by_id(const struct names *names, int64_t id)
{
    for (size_t i = 0; i < names->nodes_n; i++)
        if (names->nodes[i].id == id)
            return &names->nodes[i];
    return NULL;
}

static void task_name(const struct names *names, const struct named_task *t, char out[NAME_BYTES])
{
    const char *service = t->service == SIZE_MAX ? "?" : names->services[t->service].name;
    snprintf(out, NAME_BYTES, "%s.%lld.%s", service, (long long)t->slot, t->stack);
}

static void add_task(const struct names *names, const struct named_task *t,
                     const struct named_address *a, int64_t port, struct name_answer *ret)
{
    if (ret->n == NAMES_MAX)
        return;
    struct name_item *item = &ret->items[ret->n++];
    const struct named_node *node = node_by_id(names, t->node_id);
    *item =
        (struct name_item){.address = a->address, .address6 = a->address6, .port = (uint16_t)port};
    task_name(names, t, item->target);
    str_fill(item->node, sizeof(item->node), node ? node->name : "");
}

/* Ports that a task is asked at: the one in the name, else all that its service publishes. */
static void add_ports(const struct names *names, const struct named_service *s,
                      const struct named_task *t, const struct question *q,
                      const struct named_address *a, struct name_answer *ret)
{
    for (size_t i = 0; i < s->ports_n && !q->port; i++)
        add_task(names, t, a, s->ports[i].target, ret);
    if (q->port)
        add_task(names, t, a, q->port, ret);
}

static void add_tasks(const struct names *names, const struct named_task *asker,
                      const struct named_service *s, const struct question *q, bool ports,
                      struct name_answer *ret)
{
    for (size_t i = 0; i < s->tasks_n; i++) {
        const struct named_task *t = &names->tasks[s->first_task + i];
        const struct named_address *a = shared(asker, t->addresses, t->addresses_n);
        if (!t->serves || !a || (q->slot && t->slot != q->slot))
            continue;
        if (ports)
            add_ports(names, s, t, q, a, ret);
        else
            add_task(names, t, a, 0, ret);
    }
}

static void add_service(const struct names *names, const struct named_task *asker,
                        const struct named_service *s, const struct question *q,
                        struct name_answer *ret)
{
    const struct named_address *a = shared(asker, s->addresses, s->addresses_n);
    if (q->slot || q->tasks || !a) {
        add_tasks(names, asker, s, q, false, ret);
    } else if (ret->n < NAMES_MAX) {
        struct name_item *item = &ret->items[ret->n++];
        *item = (struct name_item){.address = a->address, .address6 = a->address6};
        snprintf(item->target, sizeof(item->target), "%s.%s", s->name, s->stack);
    }
}

static int compare_node_name(const void *key, const void *node)
{
    return strcmp(key, ((const struct named_node *)node)->name);
}

/* A member by its name, alone or before ".node". Names of members may have dots. */
static bool find_node(const struct names *names, const char *whole, struct name_answer *ret)
{
    char name[NAME_BYTES];
    size_t len = strlen(whole);
    bool suffix = len > strlen(".node") && strcmp(whole + len - strlen(".node"), ".node") == 0;
    str_fill(name, sizeof(name), whole);
    if (suffix)
        name[len - strlen(".node")] = '\0';
    const struct named_node *node =
        names->nodes_n
            ? bsearch(name, names->nodes, names->nodes_n, sizeof(*names->nodes), compare_node_name)
            : NULL;
    if (!node)
        return false;
    ret->items[0] = (struct name_item){.address = node->address};
    str_fill(ret->items[0].target, sizeof(ret->items[0].target), node->name);
    ret->n = 1;
    return true;
}

/* What is meant by @name, after "tasks." if that is before it. */
static bool find(struct names *names, const struct named_task *asker, const char *name,
                 struct question *q, struct meant *meant)
{
    meant->n = 0;
    if (!split(name, q))
        return false;
    find_aliases(names, asker, q->whole, NULL, meant); /* one with dots in it */
    if (q->n > 0 && strchr(q->whole, '.') == NULL)
        meant->n = 0; /* without: the stack's own services come before */
    if (meant->n == 0)
        find_meant(names, asker, q, parse_port(q), meant);
    if (meant->n == 0 && q->n > 1 && strcmp(q->labels[0], "tasks") == 0) {
        find_meant(names, asker, q, 1, meant);
        q->tasks = true;
    }
    return meant->n > 0;
}

bool names_lookup(struct names *names, struct in_addr from, const char *name,
                  struct name_answer *ret)
{
    struct question q;
    struct meant meant;
    ret->n = 0;
    names_refresh(names);
    const struct named_task *asker = find_asker(names, from);
    if (!find(names, asker, name, &q, &meant))
        return find_node(names, q.whole, ret);
    for (size_t i = 0; i < meant.n; i++)
        add_service(names, asker, meant.services[i], &q, ret);
    return true;
}

bool names_services(struct names *names, struct in_addr from, const char *name,
                    struct name_answer *ret)
{
    struct question q;
    struct meant meant;
    ret->n = 0;
    names_refresh(names);
    const struct named_task *asker = find_asker(names, from);
    if (!find(names, asker, name, &q, &meant))
        return false;
    for (size_t i = 0; i < meant.n; i++)
        add_tasks(names, asker, meant.services[i], &q, true, ret);
    return true;
}

bool names_tasks(struct names *names, struct in_addr from, const char *name,
                 struct name_answer *ret)
{
    struct question q;
    struct meant meant;
    ret->n = 0;
    names_refresh(names);
    const struct named_task *asker = find_asker(names, from);
    if (!find(names, asker, name, &q, &meant))
        return find_node(names, q.whole, ret);
    for (size_t i = 0; i < meant.n; i++)
        add_tasks(names, asker, meant.services[i], &q, false, ret);
    return true;
}

bool names_of(struct names *names, struct in_addr from, const struct in6_addr *address,
              char out[NAME_BYTES])
{
    names_refresh(names);
    const struct named_task *asker = find_asker(names, from);
    const struct named_owner *owner = names_owner(names, address);
    if (owner && !is_in(asker, owner->network_id))
        return false;
    if (owner && owner->task != SIZE_MAX) {
        task_name(names, &names->tasks[owner->task], out);
        return true;
    }
    if (owner) {
        const struct named_service *s = &names->services[owner->service];
        snprintf(out, NAME_BYTES, "%s.%s", s->name, s->stack);
        return true;
    }
    for (size_t i = 0; i < names->nodes_n; i++)
        if (netip_is4(address) && names->nodes[i].address.s_addr == netip_to4(address).s_addr) {
            str_fill(out, NAME_BYTES, names->nodes[i].name);
            return true;
        }
    return false;
}

/* --- the users' own --------------------------------------------------------------------------- */

static bool find_records(const struct names *names, const char *name, const struct dns_record **ret,
                         size_t *ret_n)
{
    size_t low = 0, high = names->records_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->records[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < names->records_n && strcmp(names->records[high].name, name) == 0;)
        high++;
    *ret = names->records + low;
    *ret_n = high - low;
    return high > low;
}

bool names_records(struct names *names, const char *name, const struct dns_record **ret,
                   size_t *ret_n)
{
    names_refresh(names);
    if (find_records(names, name, ret, ret_n))
        return true;
    for (const char *rest = strchr(name, '.'); rest; rest = strchr(rest + 1, '.')) {
        char wild[NAME_BYTES + 2];
        snprintf(wild, sizeof(wild), "*%s", rest);
        if (find_records(names, wild, ret, ret_n))
            return true;
    }
    return false;
}

/* --- ranges ----------------------------------------------------------------------------------- */

bool names_is_shut_in(struct names *names, struct in_addr from)
{
    names_refresh(names);
    const struct named_task *asker = find_asker(names, from);
    for (size_t i = 0; asker && i < asker->addresses_n; i++)
        for (size_t k = 0; k < names->networks_n; k++)
            if (names->networks[k].id == asker->addresses[i].network_id &&
                !names->networks[k].internal)
                return false;
    return asker != NULL;
}

bool names_is_ours(struct names *names, const struct in6_addr *address)
{
    names_refresh(names);
    for (size_t i = 0; i < names->networks_n; i++)
        if (netprefix_contains(&names->networks[i].range, address))
            return true;
    return false;
}
