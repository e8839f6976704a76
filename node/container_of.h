/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_of - what a task's spec means on this machine: from struct spec to container_spec.
 *
 *     struct container_plan plan;
 *     container_plan_init(&plan, &(struct container_of){.spec = …, .task = …});
 *     container_create(runtime, &plan.spec, &err);
 *     container_plan_release(&plan);
 *
 * Pure, any thread. Every field of container_options has an effect here, which a test sees to; only
 * dns is mostly the business of node/dns.c, which asks those servers on behalf of the task.
 */
#ifndef WHERRY_NODE_CONTAINER_OF_H
#define WHERRY_NODE_CONTAINER_OF_H

#include "runtime/container.h"
#include "store/model.h"

/* What a container is made of. All borrowed. */
struct container_of {
    const struct spec *spec;
    const char *id;             /* the container's: "t42" */
    const char *hostname;       /* as container_hostname() says */
    const char *address;        /* the task's in its first network; NULL: it has none */
    const char *node_address;   /* what "host-gateway" means; NULL: nothing */
    const char *netns;          /* path of its network namespace */
    char *const *mount_sources; /* of each mount: its folder here; NULL: as the spec says */
    char *const *file_sources;  /* of each config, then of each secret: its file here */
};

/* A container_spec and what it borrows: from the struct container_of, which must outlive it, and
 * from here. */
struct container_plan {
    struct container_spec spec;
    void **owned;
    size_t owned_n;
};

void container_plan_init(struct container_plan *plan, const struct container_of *from);

/* Free what @plan owns. */
void container_plan_release(struct container_plan *plan);

/* The host name of @task, "web-2" unless its spec has one. The caller frees. */
char *container_hostname(const struct spec *spec, const struct task *task);

/* The name its image is fetched and found by: with the digest where the deploy found one. */
const char *container_image(const struct spec *spec);

#endif
