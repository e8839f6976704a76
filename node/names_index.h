/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names_index - what names.c finds things by. Inside node/names*.c only.
 */
#ifndef WHERRY_NODE_NAMES_INDEX_H
#define WHERRY_NODE_NAMES_INDEX_H

#include "node/names.h"

struct named_address {
    int64_t network_id;
    struct in_addr address;
    struct in6_addr address6; /* "::": none */
};

struct named_service {
    int64_t id;
    char *stack, *name;
    struct named_address *addresses; /* that stand for its tasks */
    size_t addresses_n;
    struct port_spec *ports;
    size_t ports_n;
    size_t first_task, tasks_n; /* in names.tasks */
};

struct named_task {
    int64_t id, service_id, slot, node_id;
    bool serves;    /* healthy, and meant to run */
    size_t service; /* SIZE_MAX: its service is gone */
    char *stack;
    struct named_address *addresses; /* in the order of its networks */
    size_t addresses_n;
};

/* One more name of a service in a network. */
struct named_alias {
    char *alias;
    int64_t network_id;
    size_t service;
};

/* Whose an address is. */
struct named_owner {
    struct in6_addr address; /* of either family */
    int64_t network_id;
    size_t task, service; /* one of them is SIZE_MAX */
};

struct named_node {
    int64_t id;
    char *name;
    struct in_addr address;
};

struct named_network {
    int64_t id;
    struct network_prefix range; /* one of IPv6 has a row of its own */
    bool internal;
};

struct names {
    struct store *store;
    bool fresh;
    struct named_service *services; /* by name, then stack */
    size_t services_n;
    struct named_task *tasks; /* by service, then id */
    size_t tasks_n;
    struct named_alias *aliases; /* by alias */
    size_t aliases_n;
    struct named_owner *owners; /* by address */
    size_t owners_n;
    struct named_node *nodes; /* by name */
    size_t nodes_n;
    struct named_network *networks; /* by id */
    size_t networks_n;
    struct dns_record *records; /* by name */
    size_t records_n;
};

/* Make the index what the store is. */
void names_refresh(struct names *names);

/* Whose @address is, or NULL. */
const struct named_owner *names_owner(const struct names *names, const struct in6_addr *address);

#endif
