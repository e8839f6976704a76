/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/filter.h"

#include "scheduler/companion.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The named volume that @mount mounts, if it has a home at all; else NULL. */
static struct volume_home *volume_of(const struct lookup *lookup, const struct mount_spec *mount)
{
    if (mount->kind != MOUNT_VOLUME || !mount->source || !*mount->source)
        return NULL;
    struct volume_home *volume = lookup_volume(lookup, mount->source);
    return volume && volume->anywhere ? NULL : volume;
}

/* A port of the task's own node can be had by one task there. */
static bool has_node_port(const struct spec *spec)
{
    for (size_t i = 0; i < spec->ports_n; i++)
        if (spec->ports[i].mode == PORT_HOST)
            return true;
    return false;
}

/* Be where the volumes of @spec are. */
static void seek_homes(struct demand *demand, const struct lookup *lookup, const struct spec *spec)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct volume_home *volume = volume_of(lookup, &spec->mounts[i]);
        if (!volume)
            continue;
        if (!volume->node_id)
            demand->homeless |= spec == demand->spec;
        else if (demand->home == HOME_ANY)
            demand->home = volume->node_id;
        else if (demand->home != volume->node_id)
            demand->home = HOME_NONE;
    }
}

void demand_init(struct demand *demand, const struct lookup *lookup, const struct service *service)
{
    const struct spec *spec = &service->spec;
    *demand = (struct demand){.spec = spec, .home = HOME_ANY};
    if (spec->mode == MODE_GLOBAL)
        return;
    demand->max_per_node = has_node_port(spec) ? 1 : spec->max_per_node;
    if (service_is_companion(service))
        demand->max_per_node = 0; /* that of its host counts */
    seek_homes(demand, lookup, spec);
    for (size_t i = 0; i < lookup->companions_n; i++) {
        const struct service *companion = lookup->companions[i];
        if (companion->stack_id == service->stack_id &&
            str_equal(companion->spec.network_of, service->name))
            seek_homes(demand, lookup, &companion->spec);
    }
}

bool filter_home_is_away(const struct lookup *lookup, const struct spec *spec, char *out,
                         size_t size)
{
    if (spec->mode == MODE_GLOBAL)
        return false;
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct volume_home *volume = volume_of(lookup, &spec->mounts[i]);
        if (!volume || volume->node_id != 0 || *volume->away == '\0')
            continue;
        snprintf(out, size, "%.40s, the home of volume %.30s, to join", volume->away, volume->name);
        return true;
    }
    return false;
}

void demand_settle(struct demand *demand, const struct lookup *lookup, int64_t node_id)
{
    for (size_t i = 0; i < demand->spec->mounts_n; i++) {
        struct volume_home *volume = volume_of(lookup, &demand->spec->mounts[i]);
        if (volume && !volume->node_id)
            volume->node_id = node_id;
    }
    demand->home = node_id;
    demand->homeless = false;
}

bool constraint_matches(const struct constraint *constraint, const struct node *node)
{
    static const char labels[] = "node.labels.";
    const char *key = str_or_empty(constraint->key);
    const char *value = NULL;
    char id[24];
    if (strcmp(key, "node.id") == 0) {
        snprintf(id, sizeof(id), "%" PRId64, node->id);
        value = id;
    } else if (strcmp(key, "node.hostname") == 0) {
        value = node->name;
    } else if (strcmp(key, "node.platform.os") == 0) {
        value = node->os;
    } else if (strcmp(key, "node.platform.arch") == 0) {
        value = node->arch;
    } else if (str_starts(key, labels)) {
        value = pair_get(node->labels, node->labels_n, key + sizeof(labels) - 1);
    } else {
        return false; /* nobody knows: better no node than a wrong one */
    }
    bool equal = value && strcmp(value, str_or_empty(constraint->value)) == 0;
    return equal != constraint->negated;
}

bool filter_constraints(const struct spec *spec, const struct node *node)
{
    for (size_t i = 0; i < spec->constraints_n; i++)
        if (!constraint_matches(&spec->constraints[i], node))
            return false;
    return true;
}

bool filter_platform(const char *platform, const struct node *node)
{
    if (!platform || !*platform)
        return true;
    const char *os = str_or_empty(node->os), *arch = str_or_empty(node->arch);
    size_t os_len = strlen(os), arch_len = strlen(arch);
    if (strncmp(platform, os, os_len) != 0 || platform[os_len] != '/')
        return false;
    const char *rest = platform + os_len + 1;
    return arch_len > 0 && strncmp(rest, arch, arch_len) == 0 &&
           (rest[arch_len] == '\0' || rest[arch_len] == '/');
}

enum refusal filter_room(const struct demand *demand, const struct node_ledger *page)
{
    const struct resources *needs = &demand->spec->reservations;
    if (needs->cpu_milli > 0 && needs->cpu_milli > page->cpu_left)
        return REFUSED_CPU;
    if (needs->memory_bytes > 0 && needs->memory_bytes > page->memory_left)
        return REFUSED_MEMORY;
    for (size_t i = 0; i < demand->spec->resources_n; i++) {
        const struct resource *r = &demand->spec->resources[i];
        if (ledger_resource_left(page, str_or_empty(r->name)) < r->count)
            return REFUSED_RESOURCE;
    }
    if (demand->max_per_node > 0 && page->own >= demand->max_per_node)
        return REFUSED_MAX_PER_NODE;
    return REFUSED_MAX;
}

enum refusal filter_node(const struct demand *demand, const struct node_ledger *page)
{
    const struct node *node = page->node;
    if (node->witness)
        return REFUSED_WITNESS;
    if (node->status != NODE_UP)
        return REFUSED_DOWN;
    if (node->availability == AVAILABLE_PAUSE)
        return REFUSED_PAUSED;
    if (node->availability == AVAILABLE_DRAIN)
        return REFUSED_DRAINING;
    if (!filter_platform(demand->spec->platform, node))
        return REFUSED_PLATFORM;
    if (!filter_constraints(demand->spec, node))
        return REFUSED_CONSTRAINT;
    if (demand->home != HOME_ANY && demand->home != node->id)
        return REFUSED_VOLUME;
    return filter_room(demand, page);
}
