/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    CYCLE_SHOWN_MAX = 8, /* services of a cycle named in a message */
};

/* --- declared names ------------------------------------------------------------------------ */

static void check_uses(struct reader *r, const struct compose_uses *uses, const struct yaml *map,
                       const char *section, const char *word, const char *implied)
{
    for (size_t i = 0; i < uses->n; i++) {
        const struct compose_use *use = &uses->items[i];
        if ((implied && strcmp(use->name, implied) == 0) || yaml_get(map, use->name))
            continue;
        size_t services = compose_enter(r, "services");
        size_t service = compose_enter(r, r->project.services[use->service].name);
        size_t inner = compose_enter(r, section);
        compose_error(r, use->at, "no %s '%.64s'; declare it under the file's own %s:", word,
                      use->name, section);
        compose_leave(r, inner);
        compose_leave(r, service);
        compose_leave(r, services);
    }
}

/* --- dependencies -------------------------------------------------------------------------- */

enum visit {
    VISIT_NEW,
    VISIT_OPEN, /* on the way from the service we started at */
    VISIT_DONE,
};

struct walk {
    struct reader *reader;
    enum visit *visits;
    size_t *way; /* indices of the open services */
    size_t way_n;
};

static size_t find_service(const struct compose_project *p, const char *name)
{
    for (size_t i = 0; i < p->services_n; i++)
        if (strcmp(p->services[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static void depends_error(struct reader *r, size_t service, size_t k, const char *text)
{
    size_t services = compose_enter(r, "services");
    size_t name = compose_enter(r, r->project.services[service].name);
    size_t inner = compose_enter(r, "depends_on");
    compose_error(r, r->drafts[service].depends_at[k], "%s", text);
    compose_leave(r, inner);
    compose_leave(r, name);
    compose_leave(r, services);
}

static void report_cycle(struct walk *w, size_t service, size_t k, size_t target)
{
    const struct compose_service *services = w->reader->project.services;
    size_t first = 0;
    while (w->way[first] != target)
        first++;
    cleanup_buf struct buf b = BUF_INIT;
    buf_puts(&b, "services wait for each other in a circle: ");
    for (size_t i = first; i < w->way_n && i < first + CYCLE_SHOWN_MAX; i++)
        buf_printf(&b, "%s -> ", services[w->way[i]].name);
    buf_printf(&b, "%s%s", w->way_n - first > CYCLE_SHOWN_MAX ? "... -> " : "",
               services[target].name);
    depends_error(w->reader, service, k, b.data);
}

/* Depth first; COMPOSE_SERVICES_MAX bounds the recursion. */
static void walk_service(struct walk *w, size_t service)
{
    const struct reader *r = w->reader;
    const struct compose_project *p = &r->project;
    const struct spec *spec = &p->services[service].spec;
    w->visits[service] = VISIT_OPEN;
    w->way[w->way_n++] = service;
    for (size_t k = 0; k < spec->depends_on_n; k++) {
        size_t target = find_service(p, spec->depends_on[k].service);
        if (target == SIZE_MAX) {
            cleanup_free char *text =
                str_printf(r->services && yaml_get(r->services, spec->depends_on[k].service)
                               ? "service '%.64s' is in no active profile; name one with --profile"
                               : "no service '%.64s' in this file",
                           spec->depends_on[k].service);
            depends_error(w->reader, service, k, text);
        } else if (w->visits[target] == VISIT_OPEN) {
            report_cycle(w, service, k, target);
        } else if (w->visits[target] == VISIT_NEW) {
            walk_service(w, target);
        }
    }
    w->way_n--;
    w->visits[service] = VISIT_DONE;
}

static void check_depends(struct reader *r)
{
    size_t n = r->project.services_n;
    struct walk w = {.reader = r,
                     .visits = mem_alloc(n + 1, sizeof(*w.visits)),
                     .way = mem_alloc(n + 1, sizeof(*w.way))};
    for (size_t i = 0; i < n; i++)
        if (w.visits[i] == VISIT_NEW)
            walk_service(&w, i);
    free(w.visits);
    free(w.way);
}

/* A condition must be one that its service can come to. */
static void check_condition(struct reader *r, size_t service, size_t k)
{
    struct compose_project *p = &r->project;
    const struct depends_spec *depends = &p->services[service].spec.depends_on[k];
    size_t target = find_service(p, depends->service);
    if (target == SIZE_MAX)
        return;
    struct spec *spec = &p->services[target].spec;
    const struct compose_draft *draft = &r->drafts[target];
    if (depends->condition == DEPENDS_HEALTHY && !health_is_checked(&spec->health))
        compose_warn(r, r->drafts[service].depends_at[k],
                     "services.%s.depends_on: service '%s' has no healthcheck: running counts as "
                     "healthy",
                     p->services[service].name, depends->service);
    if (depends->condition != DEPENDS_COMPLETED || mode_is_job(spec->mode))
        return;
    bool given = draft->restart || draft->restart_policy;
    const char *why = NULL;
    if (spec->mode == MODE_GLOBAL)
        why = "a global service";
    else if (given && spec->restart.condition == RESTART_ANY)
        why = "always restarted";
    if (why) {
        cleanup_free char *text =
            str_printf("service '%.64s' never completes, for it is %s", depends->service, why);
        depends_error(r, service, k, text);
    } else if (!given) {
        spec->restart.condition = RESTART_ON_FAILURE;
    }
}

/* --- shared networks ----------------------------------------------------------------------- */

static void network_mode_error(struct reader *r, size_t service, const char *text)
{
    size_t services = compose_enter(r, "services");
    size_t name = compose_enter(r, r->project.services[service].name);
    compose_error(r, r->drafts[service].network_mode, "network_mode: %s", text);
    compose_leave(r, name);
    compose_leave(r, services);
}

/* The service whose container_name is @name. */
static size_t find_container(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->project.services_n; i++)
        if (r->drafts[i].container_alias && strcmp(r->drafts[i].container_alias, name) == 0)
            return i;
    return SIZE_MAX;
}

/* Containers have names of their own here: one of this file's is meant. */
static void settle_container(struct reader *r, size_t i)
{
    const char *name = r->drafts[i].network_container;
    size_t target = find_container(r, name);
    if (target == SIZE_MAX) {
        cleanup_free char *text =
            str_printf("no service of this file has 'container_name: %.64s'; what shares a network "
                       "is in one file, by service:NAME",
                       name);
        network_mode_error(r, i, text);
        return;
    }
    r->project.services[i].spec.network_of = str_copy(r->project.services[target].name);
}

/* The other service has a network to share, and as many tasks. */
static void check_network_of(struct reader *r, size_t i)
{
    const struct compose_project *p = &r->project;
    const struct spec *spec = &p->services[i].spec;
    size_t target = find_service(p, spec->network_of);
    const char *why = NULL;
    if (target == SIZE_MAX)
        why = r->services && yaml_get(r->services, spec->network_of)
                  ? "is in no active profile; name one with --profile"
                  : "is not in this file";
    else if (target == i)
        why = "is this one";
    else if (*str_or_empty(p->services[target].spec.network_of))
        why = "shares the network of another one; name that";
    else if (p->services[target].spec.options.network_host)
        why = "is in its machine's network; say 'host' here, too";
    else if (mode_is_job(p->services[target].spec.mode))
        why = "is a job";
    else if (p->services[target].spec.mode != spec->mode)
        why = "is global and this is not, or the other way round";
    if (!why)
        return;
    cleanup_free char *text = str_printf("service '%.64s' %s", spec->network_of, why);
    network_mode_error(r, i, text);
}

static void check_shared_networks(struct reader *r)
{
    for (size_t i = 0; i < r->project.services_n; i++)
        if (r->drafts[i].network_container)
            settle_container(r, i);
    for (size_t i = 0; i < r->project.services_n; i++)
        if (*str_or_empty(r->project.services[i].spec.network_of))
            check_network_of(r, i);
}

void compose_check(struct reader *r)
{
    struct compose_project *p = &r->project;
    compose_settle_lans(r);
    check_uses(r, &r->network_uses, r->networks, "networks", "network", "default");
    check_uses(r, &r->volume_uses, r->volumes, "volumes", "volume", NULL);
    check_uses(r, &r->config_uses, r->configs, "configs", "config", NULL);
    check_uses(r, &r->secret_uses, r->secrets, "secrets", "secret", NULL);
    check_depends(r);
    check_shared_networks(r);
    for (size_t i = 0; i < p->services_n; i++)
        for (size_t k = 0; k < p->services[i].spec.depends_on_n; k++)
            check_condition(r, i, k);
    compose_settle_resources(r);
}
