/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/netip.h"

#include <arpa/inet.h>
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

static void read_ipv4_address(struct reader *r, const struct yaml *value, void *object)
{
    struct attachment *attachment = object;
    struct in_addr address;
    compose_read_text(r, value, &attachment->address);
    if (attachment->address && inet_pton(AF_INET, attachment->address, &address) != 1)
        compose_error(r, value, "'%.64s' is no IPv4 address", attachment->address);
}

static void read_ipv6_address(struct reader *r, const struct yaml *value, void *object)
{
    struct attachment *attachment = object;
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];
    compose_read_text(r, value, &attachment->address6);
    if (!attachment->address6)
        return;
    if (!netip_parse(attachment->address6, &address) || netip_is4(&address)) {
        compose_error(r, value, "'%.64s' is no IPv6 address", attachment->address6);
        return;
    }
    free(attachment->address6);
    attachment->address6 = str_copy(netip_text(&address, text));
}

static const struct compose_key attachment_keys[] = {
    {"aliases", KEY_READ, read_aliases, NULL},
    {"interface_name", KEY_LATER, NULL, NULL},
    {"ipv4_address", KEY_READ, read_ipv4_address, NULL},
    {"ipv6_address", KEY_READ, read_ipv6_address, NULL},
    {"link_local_ips", KEY_LATER, NULL, NULL},
    {"mac_address", KEY_LATER, NULL, NULL},
    {"driver_opts", KEY_LATER, NULL, NULL},
    {"priority", KEY_NOTED, NULL, NULL},
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
    else if (text && str_starts(text, "service:") && text[strlen("service:")] != '\0')
        draft->service->spec.network_of = str_copy(text + strlen("service:"));
    else if (text && str_starts(text, "container:") && text[strlen("container:")] != '\0')
        draft->network_container = str_copy(text + strlen("container:"));
    else if (text && (strcmp(text, "bridge") == 0 || strcmp(text, "default") == 0))
        draft->network_bridge = true;
    else if (text && strcmp(text, "none") != 0)
        compose_error(r, value,
                      "network_mode '%.64s': not host, none, service:NAME or container:NAME; "
                      "networks are given by networks:",
                      text);
}

void compose_settle_networks(struct reader *r, struct compose_draft *draft)
{
    struct spec *spec = &draft->service->spec;
    if (draft->network_mode && draft->networks)
        compose_error(r, draft->network_mode, "networks and network_mode exclude each other");
    if (draft->network_bridge)
        compose_warn(r, draft->network_mode,
                     "network_mode: machines have no bridge of their own here; it is the stack's "
                     "default network");
    if ((!draft->network_mode || draft->network_bridge) && spec->networks_n == 0)
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

static struct deploy_network *network_of(void *object)
{
    return &((struct compose_network *)object)->network;
}

static void read_driver(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "macvlan") == 0)
        network_of(object)->lan.on = true;
    else if (text && strcmp(text, "bridge") != 0 && strcmp(text, "overlay") != 0)
        compose_error(r, value,
                      "driver '%.64s' is not supported; macvlan is, and bridge and overlay, which "
                      "are one and the same here",
                      text);
}

static void read_internal(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &network_of(object)->internal);
}

static void read_enable_ipv6(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &network_of(object)->ipv6);
}

static void read_attachable(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_bool(r, value, &network_of(object)->attachable);
}

static void read_network_labels(struct reader *r, const struct yaml *value, void *object)
{
    struct deploy_network *network = network_of(object);
    compose_read_label_pairs(r, value, &network->labels, &network->labels_n);
}

static void read_name(struct reader *r, const struct yaml *value, void *object)
{
    struct deploy_network *network = network_of(object);
    compose_read_text(r, value, &network->name);
    if (network->name && !content_name_is_valid(network->name))
        compose_error(r, value,
                      "'%.100s' is no name for a network; use letters, digits, '.', '_' "
                      "and '-'",
                      network->name);
    network->full = network->name != NULL;
}

/* true, or as older files have it {name: NAME}. */
static const struct compose_key external_keys[] = {
    {"name", KEY_READ, read_name, NULL},
};

static void read_external(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_network *def = object;
    def->external = true;
    if (value->kind == YAML_MAP)
        compose_section(r, value, external_keys, ARRAY_SIZE(external_keys), object);
    else
        compose_read_bool(r, value, &def->external);
}

static void read_subnet(struct reader *r, const struct yaml *value, void *object)
{
    struct deploy_network *network = network_of(object);
    struct network_prefix range;
    char *text = NULL;
    compose_read_text(r, value, &text);
    if (!text)
        return;
    char **to = strchr(text, ':') ? &network->prefix6 : &network->prefix;
    if (!netprefix_parse(text, &range))
        compose_error(r, value, "'%.64s' is no subnet such as 172.28.0.0/16 or fd00:28::/64", text);
    else if (*to)
        compose_error(r, value, "a network has one subnet of IPv4 here, and one of IPv6");
    else
        *to = steal(&text);
    free(text);
}

static void read_ip_range(struct reader *r, const struct yaml *value, void *object)
{
    cleanup_free char *text = compose_text(r, value);
    if (text && strchr(text, ':')) {
        compose_warn(r, value, "of IPv6 is not used: addresses follow those of IPv4");
        return;
    }
    compose_read_text(r, value, &network_of(object)->ip_range);
}

static void read_gateway(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_network *def = object;
    cleanup_free char *text = compose_text(r, value);
    def->gateway_at = value;
    if (!text || strchr(text, ':'))
        return;
    free(def->network.lan.gateway);
    def->network.lan.gateway = str_copy(text);
}

static const struct compose_key range_keys[] = {
    {"subnet", KEY_READ, read_subnet, NULL},
    {"ip_range", KEY_READ, read_ip_range, NULL},
    {"gateway", KEY_READ, read_gateway, NULL},
    {"aux_addresses", KEY_LATER, NULL, "keep them out of ip_range"},
};

static void read_ranges(struct reader *r, const struct yaml *value, void *object)
{
    if (!compose_is_list(r, value, "a list of ranges"))
        return;
    for (size_t i = 0; i < value->n; i++)
        compose_section(r, value->items[i], range_keys, ARRAY_SIZE(range_keys), object);
}

static void read_ipam_driver(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    cleanup_free char *text = compose_text(r, value);
    if (text && strcmp(text, "default") != 0)
        compose_error(r, value, "'%.64s' must be default", text);
}

static const struct compose_key ipam_keys[] = {
    {"driver", KEY_READ, read_ipam_driver, NULL},
    {"config", KEY_READ, read_ranges, NULL},
    {"options", KEY_LATER, NULL, NULL},
};

static void read_ipam(struct reader *r, const struct yaml *value, void *object)
{
    compose_section(r, value, ipam_keys, ARRAY_SIZE(ipam_keys), object);
}

static void read_driver_opts(struct reader *r, const struct yaml *value, void *object)
{
    struct compose_network *def = object;
    const struct yaml *mode = value->kind == YAML_MAP ? yaml_get(value, "macvlan_mode") : NULL;
    const struct yaml *parent = value->kind == YAML_MAP ? yaml_get(value, "parent") : NULL;
    if (value->kind == YAML_MAP && value->n > 0)
        def->options_at = value;
    if (parent)
        compose_read_text(r, parent, &def->network.lan.parent);
    cleanup_free char *text = mode ? compose_text(r, mode) : NULL;
    if (text && strcmp(text, "bridge") != 0)
        compose_error(r, mode, "macvlan_mode '%.40s' is not supported; bridge is", text);
}

/* What only the machines' own link has. MTU follows the path elsewhere, and a network between
 * members is no bridge. */
static void settle_lan(struct reader *r, const struct yaml *at, struct compose_network *def)
{
    struct deploy_network *network = &def->network;
    if (network->lan.on) {
        if (!*str_or_empty(network->prefix))
            compose_error(r, at, "a macvlan needs the subnet of the machines' link, under ipam");
        if (network->ipv6 || network->internal)
            compose_error(r, at, "a macvlan takes no %s",
                          network->ipv6 ? "enable_ipv6: what is in it has what the link advertises"
                                        : "internal: leave its gateway out instead");
        return;
    }
    if (def->options_at)
        compose_warn(r, def->options_at, "are for Docker's drivers and mean nothing here");
    if (def->gateway_at)
        compose_warn(r, def->gateway_at,
                     "the gateway is 169.254.1.1, or fe80::1, in every network; this one is not "
                     "used");
    record_release(&lan_spec_type, &network->lan);
}

static const struct compose_key network_keys[] = {
    {"driver", KEY_READ, read_driver, NULL},
    {"driver_opts", KEY_READ, read_driver_opts, NULL},
    {"ipam", KEY_READ, read_ipam, NULL},
    {"external", KEY_READ, read_external, NULL},
    {"internal", KEY_READ, read_internal, NULL},
    {"enable_ipv4", KEY_NOTED, NULL, NULL},
    {"enable_ipv6", KEY_READ, read_enable_ipv6, NULL},
    {"attachable", KEY_READ, read_attachable, NULL},
    {"labels", KEY_READ, read_network_labels, NULL},
    {"name", KEY_READ, read_name, NULL},
};

static void read_network(struct reader *r, const struct yaml_pair *pair)
{
    r->network_defs = mem_resize(r->network_defs, r->network_defs_n + 1, sizeof(*r->network_defs));
    struct compose_network *def = &r->network_defs[r->network_defs_n++];
    *def = (struct compose_network){.key = str_copy(pair->key->text)};
    compose_section(r, pair->value, network_keys, ARRAY_SIZE(network_keys), def);
    if (def->external && !def->network.full)
        def->network.full = true;
    if (!*str_or_empty(def->network.name))
        def->network.name = str_copy(def->key);
    if (*str_or_empty(def->network.ip_range) && !*str_or_empty(def->network.prefix))
        compose_error(r, pair->key, "ip_range needs a subnet beside it");
    if (!def->external)
        settle_lan(r, pair->key, def);
    if (*str_or_empty(def->network.prefix6) && !def->network.ipv6)
        compose_error(r, pair->key, "a subnet of IPv6 needs 'enable_ipv6: true'");
}

void compose_read_networks(struct reader *r, const struct yaml *value)
{
    if (value->kind == YAML_NULL || !compose_is_map(r, value, "a mapping of networks"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct yaml_pair *pair = &value->pairs[i];
        compose_check_name(r, pair->key, pair->key->text);
        size_t before = compose_enter(r, pair->key->text);
        read_network(r, pair);
        compose_leave(r, before);
    }
}

/* --- both ---------------------------------------------------------------------------------- */

static bool is_lan(const struct reader *r, const char *key)
{
    for (size_t i = 0; i < r->network_defs_n; i++)
        if (strcmp(r->network_defs[i].key, key) == 0)
            return !r->network_defs[i].external && r->network_defs[i].network.lan.on;
    return false;
}

void compose_settle_lans(struct reader *r)
{
    for (size_t i = 0; i < r->drafts_n; i++) {
        struct compose_draft *draft = &r->drafts[i];
        const struct spec *spec = &draft->service->spec;
        size_t lans = 0;
        for (size_t k = 0; k < spec->networks_n; k++)
            lans += is_lan(r, spec->networks[k].network);
        if (lans > 0 && lans == spec->networks_n)
            attach(r, draft, "default", draft->key);
    }
}
