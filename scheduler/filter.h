/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter - whether a node can take a replica, and if not, why.
 */
#ifndef WHERRY_SCHEDULER_FILTER_H
#define WHERRY_SCHEDULER_FILTER_H

#include "scheduler/ledger.h"

enum {
    HOME_ANY = 0,   /* no volume of it has a home yet */
    HOME_NONE = -1, /* its volumes have different homes: no node is all of them */
};

/* What a replica asks of its node. */
struct demand {
    const struct spec *spec;
    int64_t home;         /* the node where its volumes are, or HOME_ANY or HOME_NONE */
    bool homeless;        /* a volume of it gets its home with the first replica */
    int64_t max_per_node; /* 0: no limit */
};

/* What a replica of @service asks. Volumes of a global service have content on every node: they
 * have no home, and one task a node is what it is about. Where the volumes of its companions are,
 * it has to be too. */
void demand_init(struct demand *demand, const struct lookup *lookup, const struct service *service);

/* True when a volume of @spec waits for the member that was its home before a restore: which, to
 * @out. */
bool filter_home_is_away(const struct lookup *lookup, const struct spec *spec, char *out,
                         size_t size);

/* Make node @node_id the home of the volumes of @demand that have none. */
void demand_settle(struct demand *demand, const struct lookup *lookup, int64_t node_id);

/* Why the node of @page refuses a replica, by what the node is; REFUSED_MAX when it does not. */
enum refusal filter_node(const struct demand *demand, const struct node_ledger *page);

/* @refusal in words that follow a number of nodes: "short of CPU". */
const char *refusal_text(enum refusal refusal);

/* … in words that follow the name of one: "is short of CPU". */
const char *refusal_text_of_one(enum refusal refusal);

/* The part of filter_node() that changes while replicas are placed: room. */
enum refusal filter_room(const struct demand *demand, const struct node_ledger *page);

/* True when @node is of @platform, "linux/arm64"; "" and NULL are any. Of "linux/arm/v7" the last
 * part is not looked at: nodes do not say it. */
bool filter_platform(const char *platform, const struct node *node);

/* True when @node meets all constraints of @spec. */
bool filter_constraints(const struct spec *spec, const struct node *node);

#endif
