/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_job - what takes long about a container or a volume: copies, commits, checkpoints.
 *
 * A verb begins a job and is answered with its id, which only who was told it knows; container.job
 * says how far it is. The newest few are remembered after their end. What a copy out writes, and a
 * copy in reads, is a file of the uploads' folder (node/api_image.c), so that it is cleaned up like
 * those. Loop thread.
 */
#ifndef WHERRY_NODE_CONTAINER_JOB_H
#define WHERRY_NODE_CONTAINER_JOB_H

#include "base/err.h"
#include "node/container_target.h"

#include <stddef.h>

struct api_call;
struct runtime;

struct container_job {
    struct runtime *runtime;
    struct container_target target;
    void *request;     /* a copy */
    char *upload_path; /* the file of request's upload, or of the one that is written */
    char upload[20];   /* its id */
    char digest[72];   /* of a commit's image */
    char *name;        /* … and its name */
    long long size;    /* of what was written */
    struct err err;
    void (*run)(struct container_job *job); /* on a worker; touches only the above */
};

/* Tell how far @job is; false: end early. For the runtime's progress callbacks. */
bool container_job_progress(void *job, const char *text);

/* Find the container of @request, here or elsewhere, and begin @run. @upload: the id of an upload
 * that is read and deleted; NULL with @writes: a new one is written. The reply is a job_reply. */
void container_job_begin(struct api_call *c, const void *request, const char *upload, bool writes,
                         void (*run)(struct container_job *job));

/* Begin @run here; @target is NULL for what is about no container. */
void container_job_start(struct api_call *c, const void *request,
                         const struct container_target *target, const char *upload, bool writes,
                         void (*run)(struct container_job *job));

/* How many bytes @job may write and leave the disk some room. */
int64_t container_job_room(const struct container_job *job);

/* Answer container.job. */
void container_job_look(struct api_call *c, const void *request);

#endif
