/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/lookup.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* -1, 0 or 1. */
static int compare_ids(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_tasks(const void *a, const void *b)
{
    const struct task *x = *(const struct task *const *)a;
    const struct task *y = *(const struct task *const *)b;
    int order = compare_ids(x->slot, y->slot);
    return order ? order : compare_ids(x->id, y->id);
}

static int compare_names(const void *a, const void *b)
{
    const struct service *x = (*(struct service_tasks *const *)a)->service;
    const struct service *y = (*(struct service_tasks *const *)b)->service;
    int order = compare_ids(x->stack_id, y->stack_id);
    return order ? order : strcmp(str_or_empty(x->name), str_or_empty(y->name));
}

static int compare_revisions(const void *a, const void *b)
{
    const struct revision *x = *(const struct revision *const *)a;
    const struct revision *y = *(const struct revision *const *)b;
    int order = compare_ids(x->service_id, y->service_id);
    return order ? order : compare_ids(x->revision, y->revision);
}

static int compare_runs(const void *a, const void *b)
{
    const struct job_run *x = *(const struct job_run *const *)a;
    const struct job_run *y = *(const struct job_run *const *)b;
    int order = compare_ids(x->service_id, y->service_id);
    return order ? order : compare_ids(x->id, y->id);
}

static int compare_volumes(const void *a, const void *b)
{
    const struct volume_home *x = a;
    const struct volume_home *y = b;
    return strcmp(x->name, y->name);
}

static int compare_service_id(const void *key, const void *element)
{
    const struct service *service = element;
    return compare_ids(*(const int64_t *)key, service->id);
}

static int compare_node_id(const void *key, const void *element)
{
    const struct node *node = element;
    return compare_ids(*(const int64_t *)key, node->id);
}

/* The group that @task belongs to. */
static struct service_tasks *group_of(struct lookup *lookup, const struct task *task)
{
    const struct view *view = lookup->view;
    const struct service *found = view->services_n
                                      ? bsearch(&task->service_id, view->services, view->services_n,
                                                sizeof(*view->services), compare_service_id)
                                      : NULL;
    return found ? &lookup->services[found - view->services] : &lookup->orphans;
}

/* Give each service its run of lookup->tasks: count, lay out, fill, sort by slot. */
static void group_tasks(struct lookup *lookup)
{
    const struct view *view = lookup->view;
    struct service_tasks **groups = mem_alloc(view->tasks_n, sizeof(*groups));
    for (size_t i = 0; i < view->tasks_n; i++) {
        groups[i] = group_of(lookup, &view->tasks[i]);
        groups[i]->n++;
    }
    size_t at = 0;
    for (size_t i = 0; i <= view->services_n; i++) {
        struct service_tasks *group =
            i < view->services_n ? &lookup->services[i] : &lookup->orphans;
        group->tasks = lookup->tasks + at;
        at += group->n;
        group->n = 0;
    }
    for (size_t i = 0; i < view->tasks_n; i++)
        groups[i]->tasks[groups[i]->n++] = &view->tasks[i];
    free(groups);
    for (size_t i = 0; i < view->services_n; i++)
        qsort(lookup->services[i].tasks, lookup->services[i].n, sizeof(*lookup->tasks),
              compare_tasks);
}

void lookup_init(struct lookup *lookup, const struct view *view)
{
    *lookup = (struct lookup){.view = view};
    lookup->services = mem_alloc(view->services_n, sizeof(*lookup->services));
    lookup->by_name = mem_alloc(view->services_n, sizeof(*lookup->by_name));
    for (size_t i = 0; i < view->services_n; i++) {
        lookup->services[i].service = &view->services[i];
        lookup->by_name[i] = &lookup->services[i];
        if (*str_or_empty(view->services[i].spec.network_of)) {
            lookup->companions = mem_resize(lookup->companions, lookup->companions_n + 1,
                                            sizeof(*lookup->companions));
            lookup->companions[lookup->companions_n++] = &view->services[i];
        }
    }
    qsort(lookup->by_name, view->services_n, sizeof(*lookup->by_name), compare_names);
    lookup->revisions = mem_alloc(view->revisions_n, sizeof(*lookup->revisions));
    for (size_t i = 0; i < view->revisions_n; i++)
        lookup->revisions[i] = &view->revisions[i];
    qsort(lookup->revisions, view->revisions_n, sizeof(*lookup->revisions), compare_revisions);
    lookup->volumes = mem_alloc(view->volumes_n, sizeof(*lookup->volumes));
    for (size_t i = 0; i < view->volumes_n; i++)
        lookup->volumes[i] = (struct volume_home){.anywhere = volume_is_anywhere(&view->volumes[i]),
                                                  .name = str_or_empty(view->volumes[i].name),
                                                  .node_id = view->volumes[i].home_node_id,
                                                  .away = str_or_empty(view->volumes[i].home_name)};
    qsort(lookup->volumes, view->volumes_n, sizeof(*lookup->volumes), compare_volumes);
    lookup->runs = mem_alloc(view->runs_n, sizeof(*lookup->runs));
    for (size_t i = 0; i < view->runs_n; i++)
        lookup->runs[i] = &view->runs[i];
    if (view->runs_n > 0)
        qsort(lookup->runs, view->runs_n, sizeof(*lookup->runs), compare_runs);
    lookup->tasks = mem_alloc(view->tasks_n, sizeof(*lookup->tasks));
    group_tasks(lookup);
}

void lookup_release(struct lookup *lookup)
{
    free(lookup->services);
    free(lookup->by_name);
    free(lookup->revisions);
    free(lookup->volumes);
    free(lookup->companions);
    free(lookup->tasks);
    free(lookup->runs);
    *lookup = (struct lookup){0};
}

bool lookup_node(const struct lookup *lookup, int64_t id, size_t *ret_place)
{
    const struct view *view = lookup->view;
    const struct node *found = view->nodes_n ? bsearch(&id, view->nodes, view->nodes_n,
                                                       sizeof(*view->nodes), compare_node_id)
                                             : NULL;
    if (!found)
        return false;
    *ret_place = (size_t)(found - view->nodes);
    return true;
}

const struct service_tasks *lookup_service(const struct lookup *lookup, const struct service *of,
                                           const char *name)
{
    const struct service wanted = {.stack_id = of->stack_id, .name = (char *)(uintptr_t)name};
    struct service_tasks group = {.service = &wanted};
    struct service_tasks *key = &group;
    struct service_tasks **found = bsearch(&key, lookup->by_name, lookup->view->services_n,
                                           sizeof(*lookup->by_name), compare_names);
    return found ? *found : NULL;
}

const struct spec *lookup_spec(const struct lookup *lookup, const struct service *service,
                               const struct task *task)
{
    if (service && service->revision == task->revision)
        return &service->spec;
    const struct revision wanted = {.service_id = task->service_id, .revision = task->revision};
    const struct revision *key = &wanted;
    const struct revision **found = bsearch(&key, lookup->revisions, lookup->view->revisions_n,
                                            sizeof(*lookup->revisions), compare_revisions);
    if (found)
        return &(*found)->spec;
    return service ? &service->spec : NULL;
}

/* The place of the first run of service @id, or of a later one. */
static size_t first_run(const struct lookup *lookup, int64_t id)
{
    size_t low = 0;
    size_t high = lookup->view->runs_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lookup->runs[middle]->service_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct job_run **lookup_runs(const struct lookup *lookup, const struct service *service,
                                   size_t *ret_n)
{
    size_t first = first_run(lookup, service->id);
    *ret_n = first_run(lookup, service->id + 1) - first;
    return lookup->runs + first;
}

const struct job_run *lookup_last_run(const struct lookup *lookup, const struct service *service)
{
    size_t n;
    const struct job_run **runs = lookup_runs(lookup, service, &n);
    for (size_t i = n; i-- > 0;)
        if (runs[i]->state != JOB_SKIPPED)
            return runs[i];
    return NULL;
}

struct volume_home *lookup_volume(const struct lookup *lookup, const char *name)
{
    const struct volume_home wanted = {.name = name};
    return bsearch(&wanted, lookup->volumes, lookup->view->volumes_n, sizeof(*lookup->volumes),
                   compare_volumes);
}
