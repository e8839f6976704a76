/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is: from the daemon's options and the kernel. */
#include "node/daemon.h"
#include "node/level.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "cluster/identity.h"
#include "runtime/network.h"
#include "store/level.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    BUS_PORT = 7400,
};

/* "IP" or "IP:PORT", as option @option was given. */
static int parse_endpoint(const char *option, const char *text, struct in_addr *ret_ip,
                          int *ret_port, struct err *err)
{
    char ip[64];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : BUS_PORT;
    if (len >= sizeof(ip) || (colon && (*end || port < 1 || port > 65534)))
        return err_set(err, ERR_INVALID, "%s %s: not IP or IP:PORT", option, text);
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (inet_pton(AF_INET, ip, ret_ip) != 1 || ret_ip->s_addr == 0)
        return err_set(err, ERR_INVALID, "%s %s: not an IPv4 address that others can reach", option,
                       text);
    *ret_port = (int)port;
    return 0;
}

static char *endpoint(struct in_addr address, int port)
{
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, ip, sizeof(ip));
    return str_printf("%s:%d", ip, port);
}

/* Where this machine listens, and where others reach it. */
static int parse_address(struct daemon *d, const char *text, const char *advertise, struct err *err)
{
    struct in_addr there;
    int rv = 0;
    d->port = BUS_PORT;
    if (text)
        rv = parse_endpoint("--address", text, &d->ip, &d->port, err);
    else if (network_default_address(&d->ip, err) < 0)
        rv = err_wrap(err, "find this machine's address (give one with --address)");
    if (rv < 0)
        return rv;
    d->listen = endpoint(d->ip, d->port);
    there = d->ip;
    d->advertised_port = d->port;
    if (advertise &&
        (rv = parse_endpoint("--advertise", advertise, &there, &d->advertised_port, err)) < 0)
        return rv;
    d->address = endpoint(there, d->advertised_port);
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static int parse_labels(struct daemon *d, struct err *err)
{
    d->labels_n = d->options.labels_n;
    d->labels = mem_alloc(d->labels_n, sizeof(*d->labels));
    for (size_t i = 0; i < d->labels_n; i++) {
        const char *text = d->options.labels[i];
        const char *equals = strchr(text, '=');
        if (!equals || equals == text)
            return err_set(err, ERR_INVALID, "--label %s: not KEY=VALUE", text);
        d->labels[i].key = str_printf("%.*s", (int)(equals - text), text);
        d->labels[i].value = str_copy(equals + 1);
    }
    qsort(d->labels, d->labels_n, sizeof(*d->labels), compare_pairs);
    return 0;
}

static int compare_resources(const void *a, const void *b)
{
    return strcmp(((const struct resource *)a)->name, ((const struct resource *)b)->name);
}

static int parse_resources(struct daemon *d, struct err *err)
{
    d->resources_n = d->options.resources_n;
    d->resources = mem_alloc(d->resources_n, sizeof(*d->resources));
    for (size_t i = 0; i < d->resources_n; i++) {
        const char *text = d->options.resources[i];
        const char *equals = strrchr(text, '=');
        char *end = NULL;
        long long count = equals ? strtoll(equals + 1, &end, 10) : 0;
        if (!equals || equals == text || end == equals + 1 || *end || count < 1)
            return err_set(err, ERR_INVALID, "--resource %s: not NAME=COUNT", text);
        d->resources[i].name = str_printf("%.*s", (int)(equals - text), text);
        d->resources[i].count = count;
    }
    qsort(d->resources, d->resources_n, sizeof(*d->resources), compare_resources);
    if (!resources_are_valid(d->resources, d->resources_n))
        return err_set(err, ERR_INVALID,
                       "--resource: at most %d kinds, once each, of letters, digits, '_', '.' and "
                       "'-', and of 1 to %d",
                       RESOURCES_MAX, RESOURCE_COUNT_MAX);
    return 0;
}

static int parse_name(struct daemon *d, struct err *err)
{
    char host[256];
    if (!d->options.name && gethostname(host, sizeof(host)) == 0) {
        host[sizeof(host) - 1] = '\0';
        d->name = str_copy(host);
    } else {
        d->name = str_copy(str_or_empty(d->options.name));
    }
    if (!node_name_is_valid(d->name))
        return err_set(
            err, ERR_INVALID,
            "'%s' cannot be a node's name: letters, digits, '.', '-' and '_', at most 63 "
            "(--name gives another)",
            d->name);
    return 0;
}

int daemon_parse_options(struct daemon *d, struct err *err)
{
    int rv = parse_name(d, err);
    if (rv == 0)
        rv = parse_labels(d, err);
    if (rv == 0)
        rv = parse_resources(d, err);
    return rv < 0 ? rv : parse_address(d, d->options.address, d->options.advertise, err);
}

void daemon_describe(const struct daemon *d, struct node *ret_node)
{
    struct utsname uts;
    struct sysinfo info;
    uname(&uts);
    sysinfo(&info);
    struct node node = {
        .name = str_copy(d->name),
        .address = str_copy(d->address),
        .call_port = d->advertised_port + 1,
        .witness = d->witness,
        .cpu_milli = sysconf(_SC_NPROCESSORS_ONLN) * 1000,
        .memory_bytes = (int64_t)info.totalram * info.mem_unit,
        .version = str_copy(level_version(d)),
        .level = level_known(d) > LEVEL_FIRST ? level_known(d) : 0,
        .os = str_copy("linux"),
        .arch = str_copy(strcmp(uts.machine, "x86_64") == 0    ? "amd64"
                         : strcmp(uts.machine, "aarch64") == 0 ? "arm64"
                         : str_starts(uts.machine, "armv")     ? "arm"
                                                               : uts.machine),
    };
    const struct bytes *key = identity_public_key(d->identity);
    bytes_set(&node.public_key, key->data, key->len);
    node.labels_n = d->labels_n;
    node.labels = d->labels_n ? mem_alloc(d->labels_n, sizeof(*node.labels)) : NULL;
    for (size_t i = 0; i < d->labels_n; i++)
        record_copy(&pair_type, &d->labels[i], &node.labels[i]);
    node.resources_n = d->resources_n;
    node.resources = d->resources_n ? mem_alloc(d->resources_n, sizeof(*node.resources)) : NULL;
    for (size_t i = 0; i < d->resources_n; i++)
        record_copy(&resource_type, &d->resources[i], &node.resources[i]);
    struct authority_chain chain;
    if (identity_chain(d->identity, &chain)) {
        bytes_set(&node.cert_ca, chain.ca_hash, sizeof(chain.ca_hash));
        node.cert_until_ms = chain.until_s * 1000;
    }
    *ret_node = node;
}
