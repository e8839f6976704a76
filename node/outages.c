/* SPDX-License-Identifier: Apache-2.0 */
#include "node/outages.h"

#include "base/mem.h"

#include <stdlib.h>

struct entry {
    int64_t node_id;
    int64_t status_ms; /* of the row: another one is another outage; 0: it is gone */
    int64_t since_ms;  /* boot time */
    bool seen;
};

struct outages {
    struct entry *entries;
    size_t n;
    struct outage *list;
};

struct outages *outages_new(void)
{
    return mem_alloc(1, sizeof(struct outages));
}

void outages_free(struct outages *o)
{
    free(o->entries);
    free(o->list);
    free(o);
}

void outages_forget(struct outages *o)
{
    o->n = 0;
}

static void note(struct outages *o, int64_t node_id, int64_t status_ms, int64_t boot_ms)
{
    for (size_t i = 0; i < o->n; i++) {
        struct entry *e = &o->entries[i];
        if (e->node_id != node_id)
            continue;
        if (status_ms != 0 && e->status_ms != status_ms)
            e->since_ms = boot_ms; /* it was up in between */
        if (status_ms != 0)
            e->status_ms = status_ms;
        e->seen = true;
        return;
    }
    o->entries = mem_resize(o->entries, o->n + 1, sizeof(*o->entries));
    o->entries[o->n++] = (struct entry){
        .node_id = node_id, .status_ms = status_ms, .since_ms = boot_ms, .seen = true};
}

static bool is_there(const struct view *view, int64_t node_id)
{
    for (size_t i = 0; i < view->nodes_n; i++)
        if (view->nodes[i].id == node_id)
            return true;
    return false;
}

void outages_read(struct outages *o, struct view *view, int64_t boot_ms)
{
    bool any = false;
    for (size_t i = 0; i < view->services_n; i++)
        any |= view->services[i].spec.single;
    for (size_t i = 0; i < view->revisions_n; i++)
        any |= view->revisions[i].spec.single;
    for (size_t i = 0; i < o->n; i++)
        o->entries[i].seen = false;
    for (size_t i = 0; i < view->nodes_n; i++)
        if (view->nodes[i].status != NODE_UP)
            note(o, view->nodes[i].id, view->nodes[i].status_ms, boot_ms);
    for (size_t i = 0; any && i < view->tasks_n; i++)
        if (view->tasks[i].node_id != 0 && !is_there(view, view->tasks[i].node_id))
            note(o, view->tasks[i].node_id, 0, boot_ms);
    size_t kept = 0;
    for (size_t i = 0; i < o->n; i++)
        if (o->entries[i].seen)
            o->entries[kept++] = o->entries[i];
    o->n = kept;
    free(o->list);
    o->list = mem_alloc(o->n, sizeof(*o->list));
    for (size_t i = 0; i < o->n; i++)
        o->list[i] = (struct outage){.node_id = o->entries[i].node_id,
                                     .since_ms = view->now_ms - (boot_ms - o->entries[i].since_ms)};
    view->outages = o->list;
    view->outages_n = o->n;
}
