/* SPDX-License-Identifier: Apache-2.0 */
/* What names mean to a container: resolv.conf(5) and hosts(5). */
#include "cli/compose_container.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

void compose_read_dns(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    compose_read_forms(r, value, true, OPTION_NAMESERVER, OPTIONS_NAMESERVERS_MAX, &o->dns,
                       &o->dns_n);
}

void compose_read_dns_search(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    compose_read_forms(r, value, true, OPTION_DOMAIN, OPTIONS_SEARCH_MAX, &o->dns_search,
                       &o->dns_search_n);
}

void compose_read_dns_opt(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    compose_read_forms(r, value, false, OPTION_RESOLVER, OPTIONS_RESOLVER_MAX, &o->dns_opt,
                       &o->dns_opt_n);
}

/* --- extra_hosts --------------------------------------------------------------------------- */

/* An IPv6 address may stand in brackets. */
static void add_host(struct reader *r, const struct yaml *at, struct container_options *o,
                     const char *name, const char *address)
{
    size_t len = strlen(address);
    bool brackets = len > 2 && address[0] == '[' && address[len - 1] == ']';
    cleanup_free char *text =
        str_printf("%s %.*s", name, (int)(brackets ? len - 2 : len), address + brackets);
    if (!option_ok(OPTION_EXTRA_HOST, text))
        compose_error(r, at, "'%.64s' and '%.64s' must be %s", name, address,
                      option_meant(OPTION_EXTRA_HOST));
    else if (compose_has_room(r, at, o->extra_hosts_n, OPTIONS_HOSTS_MAX))
        compose_strings_add(&o->extra_hosts, &o->extra_hosts_n, steal(&text));
}

/* "NAME=ADDRESS", or "NAME:ADDRESS" as it was written before. */
static void read_host(struct reader *r, const struct yaml *value, struct container_options *o)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    char *separator = strchr(text, '=');
    if (!separator)
        separator = strchr(text, ':');
    if (!separator) {
        compose_error(r, value, "'%.64s' must be NAME=ADDRESS", text);
        return;
    }
    *separator = '\0';
    add_host(r, value, o, text, separator + 1);
}

static void read_addresses(struct reader *r, const struct yaml_pair *pair,
                           struct container_options *o)
{
    const struct yaml *value = pair->value;
    size_t n = value->kind == YAML_LIST ? value->n : 1;
    for (size_t i = 0; i < n; i++) {
        const struct yaml *node = value->kind == YAML_LIST ? value->items[i] : value;
        cleanup_free char *address = compose_text(r, node);
        if (address)
            add_host(r, node, o, pair->key->text, address);
    }
}

void compose_read_extra_hosts(struct reader *r, const struct yaml *value, void *object)
{
    struct container_options *o = compose_options_of(object);
    if (value->kind == YAML_NULL)
        return;
    if (value->kind == YAML_MAP) {
        for (size_t i = 0; i < value->n; i++)
            read_addresses(r, &value->pairs[i], o);
        return;
    }
    if (!compose_is_list(r, value, "a mapping or a list of NAME=ADDRESS"))
        return;
    for (size_t i = 0; i < value->n; i++)
        read_host(r, value->items[i], o);
}
