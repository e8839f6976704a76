/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* --- of a service -------------------------------------------------------------------------- */

static struct attachment *attach(struct reader *r, struct compose_draft *draft, const char *name,
                                 const struct yaml *at)
{
    struct spec *spec = &draft->service->spec;
    for (size_t i = 0; i < spec->networks_n; i++)
        if (strcmp(spec->networks[i].network, name) == 0) {
            compose_error(r, at, "network '%.64s' is named twice", name);
            return NULL;
        }
    if (spec->networks_n == COMPOSE_NETWORKS_MAX) {
        compose_error(r, at, "more than %d networks", COMPOSE_NETWORKS_MAX);
        return NULL;
    }
    spec->networks = mem_resize(spec->networks, spec->networks_n + 1, sizeof(*spec->networks));
    struct attachment *attachment = &spec->networks[spec->networks_n++];
    *attachment = (struct attachment){.network = str_copy(name)};
    compose_use(&r->network_uses, draft, name, at);
    return attachment;
}

static void read_aliases(struct reader *r, const struct yaml *value, void *object)
{
    struct attachment *attachment = object;
    if (!compose_is_list(r, value, "a list of names"))
        return;
    for (size_t i = 0; i < value->n && i < COMPOSE_NETWORKS_MAX; i++) {
        char *text = compose_text(r, value->items[i]);
        if (!text)
            continue;
        if (!node_name_is_valid(text))
            compose_error(r, value->items[i],
                          "'%.64s' is no valid name; use letters, digits, '.', '_' and '-'", text);
        compose_strings_add(&attachment->aliases, &attachment->aliases_n, text);
    }
    if (value->n > COMPOSE_NETWORKS_MAX)
        compose_error(r, value, "more than %d names", COMPOSE_NETWORKS_MAX);
}

static const struct compose_key attachment_keys[] = {
    {"aliases", KEY_READ, read_aliases, NULL},
    {"interface_name", KEY_LATER, NULL, NULL},
    {"ipv4_address", KEY_LATER, NULL, "reach the service by its name"},
    {"ipv6_address", KEY_LATER, NULL, "reach the service by its name"},
    {"link_local_ips", KEY_LATER, NULL, NULL},
    {"mac_address", KEY_LATER, NULL, NULL},
    {"driver_opts", KEY_LATER, NULL, NULL},
    {"priority", KEY_LATER, NULL, NULL},
    {"gw_priority", KEY_LATER, NULL, NULL},
};

void compose_read_attachments(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    if (value->kind == YAML_NULL)
        return;
    draft->networks = value;
    if (value->kind == YAML_MAP) {
        for (size_t i = 0; i < value->n; i++) {
            const struct yaml_pair *pair = &value->pairs[i];
            size_t before = compose_enter(r, pair->key->text);
            struct attachment *attachment = attach(r, draft, pair->key->text, pair->key);
            if (attachment)
                compose_section(r, pair->value, attachment_keys, ARRAY_SIZE(attachment_keys),
                                attachment);
            compose_leave(r, before);
        }
        return;
    }
    if (!compose_is_list(r, value, "a list or a mapping of networks"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        cleanup_free char *text = compose_text(r, value->items[i]);
        if (text)
            attach(r, draft, text, value->items[i]);
    }
}

void compose_read_network_mode(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_draft *draft = object;
    draft->network_mode = value;
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "host") == 0)
        draft->service->spec.options.network_host = true;
    else if (text && strcmp(text, "none") != 0)
        compose_error(r, value,
                      "network_mode '%.64s' is not supported yet; use networks:, host or none",
                      text);
}

void compose_settle_networks(struct reader *r, struct compose_draft *draft)
{
    struct spec *spec = &draft->service->spec;
    if (draft->network_mode && draft->networks)
        compose_error(r, draft->network_mode, "networks and network_mode exclude each other");
    if (!draft->network_mode && spec->networks_n == 0)
        attach(r, draft, "default", draft->key);
    if (!draft->container_alias || strcmp(draft->container_alias, draft->service->name) == 0)
        return;
    compose_warn(r, draft->container_name,
                 "containers have names of their own here; '%.64s' becomes one more name of the "
                 "service in its networks",
                 draft->container_alias);
    for (size_t i = 0; i < spec->networks_n; i++)
        compose_strings_add(&spec->networks[i].aliases, &spec->networks[i].aliases_n,
                            str_copy(draft->container_alias));
}

/* --- the top level ------------------------------------------------------------------------- */

static void read_driver(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "bridge") != 0 && strcmp(text, "overlay") != 0)
        compose_error(r, value,
                      "driver '%.64s' is not supported yet; bridge and overlay, which are one and "
                      "the same here, are",
                      text);
}

static const struct compose_key network_keys[] = {
    {"driver", KEY_READ, read_driver, NULL},
    {"driver_opts", KEY_LATER, NULL, NULL},
    {"ipam", KEY_LATER, NULL, "addresses are given out by the cluster"},
    {"external", KEY_LATER_IF_SET, NULL, "put the services that share it into one file"},
    {"internal", KEY_LATER_IF_SET, NULL, NULL},
    {"enable_ipv4", KEY_NOTED, NULL, NULL},
    {"enable_ipv6", KEY_LATER_IF_SET, NULL, NULL},
    {"attachable", KEY_LATER_IF_SET, NULL, NULL},
    {"labels", KEY_LATER, NULL, NULL},
    {"name", KEY_LATER, NULL, "a network is called STACK_NAME"},
};

void compose_read_networks(struct reader *r, const struct yaml *value)
{
    if (value->kind == YAML_NULL || !compose_is_map(r, value, "a mapping of networks"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        compose_check_name(r, pair->key, pair->key->text);
        size_t before = compose_enter(r, pair->key->text);
        compose_section(r, pair->value, network_keys, ARRAY_SIZE(network_keys), NULL);
        compose_leave(r, before);
    }
}
