/* SPDX-License-Identifier: Apache-2.0 */
/* Do the services of a stack wait for each other in a way that ends, and share networks so? */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct vertex {
    const char *name;
    const struct spec *spec;
    enum {
        NOT_SEEN,
        ON_PATH,
        DONE,
    } seen;
};

struct graph {
    const char *stack;
    struct vertex *vertices; /* by name */
    size_t n;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vertex *)a)->name, ((const struct vertex *)b)->name);
}

static struct vertex *find(const struct graph *graph, const char *name)
{
    struct vertex key = {.name = str_or_empty(name)};
    return bsearch(&key, graph->vertices, graph->n, sizeof(key), by_name);
}

/* Depth first; as deep as the stack has services at most (SERVICES_MAX). */
static int visit(const struct graph *graph, struct vertex *vertex, struct err *err)
{
    vertex->seen = ON_PATH;
    for (size_t i = 0; i < vertex->spec->depends_on_n; i++) {
        const char *name = str_or_empty(vertex->spec->depends_on[i].service);
        struct vertex *next = find(graph, name);
        if (!next)
            return err_set(err, ERR_INVALID,
                           "service %s.%s depends on \"%.80s\", which the stack does not have",
                           graph->stack, vertex->name, name);
        if (next->seen == ON_PATH)
            return err_set(err, ERR_INVALID,
                           "service %s.%s depends on %s, which depends on it in turn", graph->stack,
                           vertex->name, name);
        int rv = next->seen == DONE ? 0 : visit(graph, next, err);
        if (rv < 0)
            return rv;
    }
    vertex->seen = DONE;
    return 0;
}

/* Whose network a service shares: one of the stack's that has its own, and tasks in the same slots.
 */
static int check_network_of(const struct graph *graph, const struct vertex *vertex, struct err *err)
{
    const char *name = str_or_empty(vertex->spec->network_of);
    if (!*name)
        return 0;
    const struct vertex *host = find(graph, name);
    const char *why =
        !host                                   ? "which the stack does not have"
        : host == vertex                        ? "which it is itself"
        : *str_or_empty(host->spec->network_of) ? "which shares another's in turn"
        : mode_is_job(host->spec->mode)         ? "which is a job"
        : host->spec->options.network_host ? "which is in its machine's: say network_mode: host"
        : host->spec->mode != vertex->spec->mode ? "of which one is global and one is not"
                                                 : NULL;
    if (why)
        return err_set(err, ERR_INVALID, "service %s.%s shares the network of %.63s, %s",
                       graph->stack, vertex->name, name, why);
    return 0;
}

int depends_validate(const char *stack, const struct service *services, size_t n, struct err *err)
{
    cleanup_free struct vertex *vertices = mem_alloc(n, sizeof(*vertices));
    struct graph graph = {.stack = stack, .vertices = vertices};
    for (size_t i = 0; i < n; i++)
        if (!services[i].removed)
            vertices[graph.n++] =
                (struct vertex){.name = services[i].name, .spec = &services[i].spec};
    qsort(vertices, graph.n, sizeof(*vertices), by_name);
    if (graph.n > SERVICES_MAX)
        return err_set(err, ERR_TOOBIG, "stack %s would have more than %d services", stack,
                       SERVICES_MAX);
    for (size_t i = 0; i < graph.n; i++) {
        int rv = vertices[i].seen == DONE ? 0 : visit(&graph, &vertices[i], err);
        if (rv == 0)
            rv = check_network_of(&graph, &vertices[i], err);
        if (rv < 0)
            return rv;
    }
    return 0;
}
