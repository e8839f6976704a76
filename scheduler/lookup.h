/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - find things in a view.
 *
 * A view is flat, sorted arrays. This sorts what planning asks for again and again, once per plan:
 * tasks by service and slot, services by name, older specs, and where volumes have their home. The
 * homes are the plan's own copy, since placing a task gives a volume its home.
 */
#ifndef WHERRY_SCHEDULER_LOOKUP_H
#define WHERRY_SCHEDULER_LOOKUP_H

#include "scheduler/scheduler.h"

/* A service and its tasks. */
struct service_tasks {
    const struct service *service; /* NULL: it is gone, its tasks are still there */
    const struct task **tasks;     /* by slot, then by id */
    size_t n;
};

struct volume_home {
    bool anywhere; /* it has none */
    const char *name;
    int64_t node_id;  /* 0: none yet */
    const char *away; /* after a restore: the member it waits for, else "" */
};

struct lookup {
    const struct view *view;
    struct service_tasks *services; /* in the view's order */
    struct service_tasks orphans;   /* tasks of services that are gone */
    struct service_tasks **by_name; /* by stack id, then by name */
    const struct revision **revisions;
    struct volume_home *volumes;
    const struct service **companions; /* services with a spec.network_of */
    size_t companions_n;
    const struct task **tasks;   /* memory of all service_tasks.tasks */
    const struct job_run **runs; /* by service, then by id */
};

/* Sort what @view holds; it must outlive @lookup. */
void lookup_init(struct lookup *lookup, const struct view *view);

/* Free the memory. */
void lookup_release(struct lookup *lookup);

/* Find node @id. Returns false when there is none; else its place in view->nodes is in
 * *@ret_place. */
bool lookup_node(const struct lookup *lookup, int64_t id, size_t *ret_place);

/* The service named @name in the stack of @of, or NULL. */
const struct service_tasks *lookup_service(const struct lookup *lookup, const struct service *of,
                                           const char *name);

/* The spec that @task of @service runs; @service's own when no other is known. NULL only when both
 * are gone. */
const struct spec *lookup_spec(const struct lookup *lookup, const struct service *service,
                               const struct task *task);

/* The runs of @service, the oldest first; *@ret_n of them. */
const struct job_run **lookup_runs(const struct lookup *lookup, const struct service *service,
                                   size_t *ret_n);

/* The last run of @service that was not skipped; NULL: there is none. */
const struct job_run *lookup_last_run(const struct lookup *lookup, const struct service *service);

/* The home of volume @name, which may be changed; NULL when there is no such volume. */
struct volume_home *lookup_volume(const struct lookup *lookup, const char *name);

#endif
