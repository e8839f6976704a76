/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_event - what happened in the cluster, in the order in which it did. Included by api.h.
 */
#ifndef WHERRY_CLUSTER_API_EVENT_H
#define WHERRY_CLUSTER_API_EVENT_H

#include "store/model.h"

enum {
    EVENT_PAGE = 500, /* events that one reply has at most */
};

/* Those after a cursor, the oldest first. Ids are the same on every member, so that whoever goes on
 * with another one misses and doubles nothing. */
struct event_request {
    int64_t after;    /* the last that was seen (event_reply.last); 0: from the oldest kept */
    int64_t since_ms; /* not those before; 0: all */
    int64_t wait_ms;  /* wait for one so long, at most 30000 */
    int64_t max;      /* 0: EVENT_PAGE, the most */
    char *name;       /* of a stack, service, task or node, and what is below it; "": all */
    char **kinds;     /* "task", "node", …; none: all */
    size_t kinds_n;
};

struct event_info {
    int64_t id;
    int64_t at_ms;
    char *kind;
    char *object;
    char *text;
};

struct event_reply {
    struct event_info *events;
    size_t events_n;
    int64_t last; /* the cursor for the next request */
    bool lost;    /* some after the cursor are not kept any more */
    bool more;    /* there are more now */
};

extern const struct record_type event_info_type;

#endif
