/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standalone - the containers of this machine that belong to no stack.
 *
 * They are the machine's, not the cluster's: they are there before it is a member and after it
 * left, and no scheduler moves them. Each has an id "c-NAME", which no task's container has, and a
 * record in DATA_DIR/standalone/c-NAME beside what the runtime keeps of it: its restart policy,
 * whether it is meant to run, which anonymous volumes go with it. The machine of
 * standalone_rules.h says what becomes of it; what it says is done by jobs, one at a time each.
 *
 * After a start of the daemon the runtime is asked what there is. A container without a record was
 * being made and goes; one whose record is damaged is left alone, and said. Loop thread.
 */
#ifndef WHERRY_NODE_STANDALONE_H
#define WHERRY_NODE_STANDALONE_H

#include "cluster/api.h"

struct api_call;
struct daemon;
struct err;
struct standalone;

/* Begin: everything happens on the loop of the daemon, which has a runtime. */
struct standalone *standalone_new(struct daemon *d);

/* No more steps; who waits is answered. Jobs that run may end. */
void standalone_stop(struct standalone *all);

/* Free, after standalone_stop() and when no job of it is left. NULL is fine. */
void standalone_free(struct standalone *all);

/* True for the id of such a container. */
bool standalone_is_id(const char *id);

/* ERR_INVALID says what a name looks like. */
int standalone_check_name(const char *name, struct err *err);

/* True while one is being made: what it will use is not in use yet. */
bool standalone_is_creating(const struct standalone *all);

/* What the verbs of cluster/api_standalone.h do, on this member; @id is the container's. Each
 * answers @c. */
void standalone_create(struct standalone *all, struct api_call *c,
                       const struct container_create_request *r);
void standalone_begin(struct standalone *all, struct api_call *c, const char *id);
void standalone_end(struct standalone *all, struct api_call *c, const char *id,
                    const struct container_stop_request *r);
void standalone_remove(struct standalone *all, struct api_call *c, const char *id, bool force);
void standalone_idle(struct standalone *all, struct api_call *c);

#endif
