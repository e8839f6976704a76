/* SPDX-License-Identifier: Apache-2.0 */
#include "node/names.h"

#include "base/mem.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A name taken apart: service[.slot][.stack]. */
struct question {
    char text[256];
    const char *service;
    int64_t slot;      /* 0: any */
    const char *stack; /* NULL: the asker's */
};

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) < 10;
}

static bool parse(const char *name, struct question *q)
{
    char *labels[3];
    size_t n = 0;
    size_t len = strlen(name);
    if (len >= sizeof(q->text))
        return false;
    for (size_t i = 0; i <= len; i++)
        q->text[i] = (char)tolower((unsigned char)name[i]);
    if (len > 0 && q->text[len - 1] == '.')
        q->text[len - 1] = '\0';
    char *save = NULL;
    for (char *l = strtok_r(q->text, ".", &save); l; l = strtok_r(NULL, ".", &save)) {
        if (n == 3)
            return false;
        labels[n++] = l;
    }
    if (n == 0)
        return false;
    q->service = labels[0];
    q->slot = 0;
    q->stack = NULL;
    size_t next = 1;
    if (next < n && is_number(labels[next]))
        q->slot = atoll(labels[next++]);
    if (next < n)
        q->stack = labels[next++];
    return next == n;
}

/* The asker: its stack and the networks it is in. */
struct asker {
    bool known;
    struct task task;
};

static void find_asker(const struct task *tasks, size_t n, struct in_addr from, struct asker *ret)
{
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &from, text, sizeof(text));
    ret->known = false;
    for (size_t i = 0; i < n && !ret->known; i++)
        for (size_t k = 0; k < tasks[i].addresses_n && !ret->known; k++)
            if (str_equal(tasks[i].addresses[k].address, text)) {
                ret->known = true;
                ret->task = tasks[i]; /* borrowed */
            }
}

static bool in_network(const struct asker *asker, int64_t network_id)
{
    if (!asker->known)
        return true;
    for (size_t i = 0; i < asker->task.addresses_n; i++)
        if (asker->task.addresses[i].network_id == network_id)
            return true;
    return false;
}

static bool has_alias(const struct service *service, const char *name)
{
    for (size_t i = 0; i < service->spec.networks_n; i++)
        for (size_t k = 0; k < service->spec.networks[i].aliases_n; k++)
            if (strcasecmp(service->spec.networks[i].aliases[k], name) == 0)
                return true;
    return false;
}

static bool is_meant(const struct service *service, const struct question *q,
                     const struct asker *asker)
{
    const char *stack = q->stack ? q->stack : asker->known ? asker->task.stack : NULL;
    if (service->removed || !str_equal(service->stack, stack))
        return false;
    return str_equal(service->name, q->service) || (!q->slot && has_alias(service, q->service));
}

static void add_addresses(const struct task *task, const struct asker *asker,
                          struct in_addr *addresses, size_t *n)
{
    for (size_t i = 0; i < task->addresses_n && *n < NAMES_ADDRESSES_MAX; i++) {
        if (!in_network(asker, task->addresses[i].network_id))
            continue;
        if (inet_pton(AF_INET, task->addresses[i].address, &addresses[*n]) == 1)
            (*n)++;
        return; /* one address a task */
    }
}

bool names_lookup(struct store *store, struct in_addr from, const char *name,
                  struct in_addr *addresses, size_t *ret_n)
{
    struct question q;
    struct task *tasks;
    struct service *services;
    size_t tasks_n;
    size_t services_n;
    struct asker asker = {0};
    bool found = false;
    *ret_n = 0;
    if (!parse(name, &q))
        return false;
    store_list(store, TABLE_TASK, BY_NONE, 0, &tasks, &tasks_n);
    store_list(store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    find_asker(tasks, tasks_n, from, &asker);
    for (size_t i = 0; i < services_n; i++) {
        if (!is_meant(&services[i], &q, &asker))
            continue;
        found = true;
        for (size_t k = 0; k < tasks_n; k++) {
            const struct task *t = &tasks[k];
            if (t->service_id == services[i].id && t->desired == DESIRED_RUN &&
                task_is_healthy(t) && (!q.slot || q.slot == t->slot))
                add_addresses(t, &asker, addresses, ret_n);
        }
    }
    record_free_list(&task_type, tasks, tasks_n);
    record_free_list(&service_type, services, services_n);
    return found;
}
