/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <string.h>

enum {
    PORT_MAX = 65535,
};

struct range {
    int64_t first;
    int64_t last;
};

/* What one element of the list says. */
struct port_entry {
    const struct yaml *at;
    struct range published;
    struct range target;
    bool published_given;
    bool target_given;
    enum protocol protocol;
    enum port_mode mode;
};

static bool parse_range(const char *text, struct range *ret)
{
    char first[8];
    const char *dash = strchr(text, '-');
    size_t len = dash ? (size_t)(dash - text) : strlen(text);
    if (len >= sizeof(first))
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    if (!compose_number(first, 1, PORT_MAX, &ret->first))
        return false;
    ret->last = ret->first;
    return !dash || (compose_number(dash + 1, 1, PORT_MAX, &ret->last) && ret->last >= ret->first);
}

static void bad_port(struct reader *r, const struct yaml *at, const char *text)
{
    compose_error(r, at, "'%.64s' must be a port from 1 to %d, or a range such as 8000-8010", text,
                  PORT_MAX);
}

/* True for "all addresses", which is what there is. */
static bool take_address(struct reader *r, const struct yaml *at, const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0 ||
        strcmp(address, "[::]") == 0)
        return true;
    compose_error(r, at,
                  "a port on one address ('%.64s') is not supported yet; leave the address out: "
                  "each member answers on all of its own",
                  address);
    return false;
}

/* --- into the spec ------------------------------------------------------------------------- */

/* Add one port; false when no more should be tried. */
static bool add_port(struct reader *r, struct compose_draft *draft, const struct yaml *at,
                     struct port_spec port)
{
    struct spec *spec = &draft->service->spec;
    int *owner = &r->published[(size_t)port.protocol * (PORT_MAX + 1) + (size_t)port.published];
    if (*owner) {
        compose_error(r, at, "port %lld/%s is published by service '%s' already",
                      (long long)port.published, protocol_names[port.protocol],
                      r->project.services[*owner - 1].name);
        return false;
    }
    if (spec->ports_n == COMPOSE_PORTS_MAX) {
        compose_error(r, at, "more than %d ports", COMPOSE_PORTS_MAX);
        return false;
    }
    *owner = (int)draft->index + 1;
    spec->ports = mem_resize(spec->ports, spec->ports_n + 1, sizeof(*spec->ports));
    spec->ports[spec->ports_n++] = port;
    return true;
}

static void add_entry(struct reader *r, struct compose_draft *draft, const struct port_entry *e)
{
    int64_t n = e->target.last - e->target.first + 1;
    if (!e->published_given) {
        compose_error(r, e->at,
                      "port %lld is not published under a number; write \"8080:%lld\", or leave it "
                      "out: inside a network all ports are open",
                      (long long)e->target.first, (long long)e->target.first);
        return;
    }
    if (e->published.last - e->published.first + 1 != n) {
        compose_error(r, e->at, "the two ranges differ in length");
        return;
    }
    for (int64_t i = 0; i < n; i++)
        if (!add_port(r, draft, e->at,
                      (struct port_spec){.protocol = e->protocol,
                                         .published = e->published.first + i,
                                         .target = e->target.first + i,
                                         .mode = e->mode}))
            return;
}

/* --- short syntax: [[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL] ---------------------------------- */

static bool take_protocol(struct reader *r, const struct yaml *at, const char *name,
                          enum protocol *ret)
{
    for (int i = 0; protocol_names[i]; i++)
        if (strcmp(name, protocol_names[i]) == 0) {
            *ret = (enum protocol)i;
            return true;
        }
    compose_error(r, at, "protocol '%.64s' must be tcp or udp", name);
    return false;
}

static void read_short(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct port_entry e = {.at = value, .target_given = true};
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return;
    char *slash = strchr(text, '/');
    if (slash) {
        *slash = '\0';
        if (!take_protocol(r, value, slash + 1, &e.protocol))
            return;
    }
    char *target = strrchr(text, ':');
    if (target) {
        *target++ = '\0';
        char *published = strrchr(text, ':');
        if (published) {
            *published++ = '\0';
            if (!take_address(r, value, text))
                return;
        }
        e.published_given = true;
        if (!parse_range(published ? published : text, &e.published)) {
            bad_port(r, value, published ? published : text);
            return;
        }
    }
    if (!parse_range(target ? target : text, &e.target))
        bad_port(r, value, target ? target : text);
    else
        add_entry(r, draft, &e);
}

/* --- long syntax --------------------------------------------------------------------------- */

static bool read_range(struct reader *r, const struct yaml *value, struct range *ret)
{
    cleanup_free char *text = compose_text(r, value);
    if (!text)
        return false;
    if (parse_range(text, ret))
        return true;
    bad_port(r, value, text);
    return false;
}

static void read_target(struct reader *r, const struct yaml *value, void *object)
{
    struct port_entry *e = object;
    e->target_given = read_range(r, value, &e->target);
}

static void read_published(struct reader *r, const struct yaml *value, void *object)
{
    struct port_entry *e = object;
    e->published_given = read_range(r, value, &e->published);
}

static void read_protocol(struct reader *r, const struct yaml *value, void *object)
{
    int i = compose_read_choice(r, value, protocol_names);
    if (i >= 0)
        ((struct port_entry *)object)->protocol = (enum protocol)i;
}

static void read_host_ip(struct reader *r, const struct yaml *value, void *object)
{
    (void)object;
    cleanup_free char *text = compose_text(r, value);
    if (text)
        take_address(r, value, text);
}

static void read_mode(struct reader *r, const struct yaml *value, void *object)
{
    static const char *const modes[] = {"ingress", "host", NULL};
    int i = compose_read_choice(r, value, modes);
    if (i >= 0)
        ((struct port_entry *)object)->mode = (enum port_mode)i;
}

static const struct compose_key port_keys[] = {
    {"target", KEY_READ, read_target, NULL},     {"published", KEY_READ, read_published, NULL},
    {"protocol", KEY_READ, read_protocol, NULL}, {"host_ip", KEY_READ, read_host_ip, NULL},
    {"mode", KEY_READ, read_mode, NULL},         {"name", KEY_NOTED, NULL, NULL},
    {"app_protocol", KEY_NOTED, NULL, NULL},
};

static void read_long(struct reader *r, const struct yaml *value, struct compose_draft *draft)
{
    struct port_entry e = {.at = value};
    compose_section(r, value, port_keys, ARRAY_SIZE(port_keys), &e);
    if (!yaml_get(value, "target"))
        compose_error(r, value, "a port needs a target:");
    else if (e.target_given && (e.published_given || !yaml_get(value, "published")))
        add_entry(r, draft, &e);
}

void compose_read_ports(struct reader *r, const struct yaml *value, void *object)
{
    if (value->kind == YAML_NULL || !compose_is_list(r, value, "a list of ports"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        if (value->items[i]->kind == YAML_MAP)
            read_long(r, value->items[i], object);
        else
            read_short(r, value->items[i], object);
    }
}
