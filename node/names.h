/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - what a name means to whoever asks for it.
 *
 *     web, web.STACK            service web: its address, or those of its healthy tasks where it
 * has none (endpoint_mode: dnsrr) tasks.web, tasks.web.STACK  its healthy tasks web.2, web.2.STACK
 * one of them an alias                  as the service that has it, in that network n2, n2.node a
 * member
 *
 * Only what is in a network that the asker is in is answered. A name without a stack means the
 * asker's own; what its stack does not have, it finds in other stacks that share a network with it.
 * Who is no task (the machine itself) is in all networks, of no stack.
 *
 * An index of the store, made anew at the first question after a change. Loop thread.
 */
#ifndef WHERRY_NODE_NAMES_H
#define WHERRY_NODE_NAMES_H

#include "base/netip.h"
#include "store/store.h"

#include <netinet/in.h>

struct names;

enum {
    NAMES_MAX = 1000, /* of one answer */
    NAME_BYTES = 256,
};

/* One thing that a name stands for. */
struct name_item {
    struct in_addr address;
    struct in6_addr address6; /* "::": it has none */
    uint16_t port;            /* names_services(): where it serves */
    char target[NAME_BYTES];  /* its own name, "web.2.app" */
    char node[72];            /* of a task: its member's name; else "" */
};

struct name_answer {
    struct name_item items[NAMES_MAX];
    size_t n;
};

/* An index of @store, which must outlive it. */
struct names *names_new(struct store *store);
void names_free(struct names *names);

/* These tables changed (mask of 1 << enum table). */
void names_on_change(struct names *names, unsigned tables);

/* What @name means to the task that has address @from; in order of the tasks' ids. False when the
 * cluster has no such name, for it; true with ret->n 0 when it has, but nothing healthy. */
bool names_lookup(struct names *names, struct in_addr from, const char *name,
                  struct name_answer *ret);

/* The tasks behind @name and where they serve: "_8080._tcp.web" at that port, "web" at all that the
 * service publishes (RFC 2782). As names_lookup(). */
bool names_services(struct names *names, struct in_addr from, const char *name,
                    struct name_answer *ret);

/* Each task behind @name, whatever the service's address. As names_lookup(). */
bool names_tasks(struct names *names, struct in_addr from, const char *name,
                 struct name_answer *ret);

/* The name of @address (netip.h): of a task, a service or a member. False: it has none, for the
 * asker. */
bool names_of(struct names *names, struct in_addr from, const struct in6_addr *address,
              char out[NAME_BYTES]);

/* The user's own records of @name (lower case, without the last dot), or of the "*." above it:
 * *@ret points to *@ret_n of them, borrowed until the next change. */
bool names_records(struct names *names, const char *name, const struct dns_record **ret,
                   size_t *ret_n);

/* True when the asker is a task and all its networks lead nowhere else. */
bool names_is_shut_in(struct names *names, struct in_addr from);

/* True when @address is in the range of some network, or of the cluster. */
bool names_is_ours(struct names *names, const struct in6_addr *address);

#endif
