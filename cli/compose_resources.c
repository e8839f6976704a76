/* SPDX-License-Identifier: Apache-2.0 */
/* Networks and volumes of a project: which of them its services use, and their names in the
 * cluster. */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sort and drop what is there twice. */
static void sort_unique(char **list, size_t *n)
{
    if (*n == 0)
        return;
    qsort(list, *n, sizeof(*list), compare_strings);
    size_t kept = 1;
    for (size_t i = 1; i < *n; i++) {
        if (strcmp(list[kept - 1], list[i]) == 0)
            free(list[i]);
        else
            list[kept++] = list[i];
    }
    *n = kept;
}

static void names_used(const struct compose_uses *uses, char ***list, size_t *n)
{
    for (size_t i = 0; i < uses->n; i++)
        compose_strings_add(list, n, str_copy(uses->items[i].name));
    sort_unique(*list, n);
}

/* --- networks ------------------------------------------------------------------------------ */

static const struct compose_network *find_network(const struct reader *r, const char *key)
{
    for (size_t i = 0; i < r->network_defs_n; i++)
        if (strcmp(r->network_defs[i].key, key) == 0)
            return &r->network_defs[i];
    return NULL;
}

/* True when a plain name says it all. */
static bool is_plain(const struct compose_network *def)
{
    const struct deploy_network *n = def ? &def->network : NULL;
    return !n || (!def->external && !n->full && !n->internal && !n->attachable && !n->ipv6 &&
                  !n->lan.on && !*str_or_empty(n->prefix) && !*str_or_empty(n->ip_range) &&
                  n->labels_n == 0);
}

static void settle_networks(struct reader *r)
{
    struct compose_project *p = &r->project;
    char **used = NULL;
    size_t n = 0;
    names_used(&r->network_uses, &used, &n);
    for (size_t i = 0; i < n; i++) {
        const struct compose_network *def = find_network(r, used[i]);
        if (is_plain(def)) {
            compose_strings_add(&p->networks, &p->networks_n, str_copy(used[i]));
        } else if (!def->external) {
            p->own_networks =
                mem_resize(p->own_networks, p->own_networks_n + 1, sizeof(*p->own_networks));
            record_copy(&deploy_network_type, &def->network, &p->own_networks[p->own_networks_n++]);
        }
        free(used[i]);
    }
    free(used);
}

/* Services that are in a network of another name than STACK_KEY. */
static void name_networks(struct reader *r)
{
    for (size_t i = 0; i < r->project.services_n; i++) {
        struct spec *spec = &r->project.services[i].spec;
        for (size_t k = 0; k < spec->networks_n; k++) {
            const struct compose_network *def = find_network(r, spec->networks[k].network);
            if (!def || !def->network.full)
                continue;
            free(spec->networks[k].network);
            spec->networks[k].network = str_copy(def->network.name);
            spec->networks[k].full = true;
        }
    }
}

/* --- volumes ------------------------------------------------------------------------------- */

static const struct compose_volume *find_volume(const struct reader *r, const char *key)
{
    for (size_t i = 0; i < r->volume_defs_n; i++)
        if (strcmp(r->volume_defs[i].key, key) == 0)
            return &r->volume_defs[i];
    return NULL;
}

/* Its name in the cluster, as a new string. */
static char *volume_name(const struct reader *r, const char *key)
{
    const struct compose_volume *def = find_volume(r, key);
    return def && *str_or_empty(def->volume.name) ? str_copy(def->volume.name)
                                                  : str_printf("%s_%s", r->project.name, key);
}

static void settle_volumes(struct reader *r)
{
    struct compose_project *p = &r->project;
    char **used = NULL;
    size_t n = 0;
    names_used(&r->volume_uses, &used, &n);
    for (size_t i = 0; i < n; i++) {
        const struct compose_volume *def = find_volume(r, used[i]);
        char *name = volume_name(r, used[i]);
        bool plain = !def || (def->volume.options_n == 0 && def->volume.labels_n == 0);
        if (plain && !(def && def->external)) {
            compose_strings_add(&p->volumes, &p->volumes_n, steal(&name));
        } else if (!plain && !def->external) {
            p->own_volumes =
                mem_resize(p->own_volumes, p->own_volumes_n + 1, sizeof(*p->own_volumes));
            struct deploy_volume *own = &p->own_volumes[p->own_volumes_n++];
            record_copy(&deploy_volume_type, &def->volume, own);
            free(own->name);
            own->name = steal(&name);
        }
        free(name);
        free(used[i]);
    }
    free(used);
    sort_unique(p->volumes, &p->volumes_n);
}

/* Volumes go by their full names from here on. */
static void name_volumes(struct reader *r)
{
    struct compose_project *p = &r->project;
    for (size_t i = 0; i < p->services_n; i++) {
        struct spec *spec = &p->services[i].spec;
        for (size_t k = 0; k < spec->mounts_n; k++) {
            struct mount_spec *mount = &spec->mounts[k];
            if (mount->kind != MOUNT_VOLUME || !*mount->source)
                continue;
            char *full = volume_name(r, mount->source);
            free(mount->source);
            mount->source = full;
        }
    }
}

/* --- all of it ----------------------------------------------------------------------------- */

void compose_settle_resources(struct reader *r)
{
    settle_networks(r);
    name_networks(r);
    settle_volumes(r);
    name_volumes(r);
    compose_settle_contents(r);
}

void compose_resources_release(struct reader *r)
{
    for (size_t i = 0; i < r->network_defs_n; i++) {
        free(r->network_defs[i].key);
        record_release(&deploy_network_type, &r->network_defs[i].network);
    }
    free(r->network_defs);
    for (size_t i = 0; i < r->volume_defs_n; i++) {
        free(r->volume_defs[i].key);
        record_release(&deploy_volume_type, &r->volume_defs[i].volume);
    }
    free(r->volume_defs);
    for (size_t i = 0; i < r->content_defs_n; i++) {
        struct compose_content *def = &r->content_defs[i];
        free(def->key);
        free(def->base);
        free(def->file);
        free(def->variable);
        free(def->text);
        record_release(&content_type, &def->content);
    }
    free(r->content_defs);
}
