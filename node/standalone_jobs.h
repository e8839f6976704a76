/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standalone_jobs - the blocking parts of standalone.c, each a function that a job's thread runs,
 * and the record of a container on disk.
 */
#ifndef WHERRY_NODE_STANDALONE_JOBS_H
#define WHERRY_NODE_STANDALONE_JOBS_H

#include "base/err.h"
#include "cluster/api.h"
#include "node/standalone_rules.h"

struct runtime;

/* DATA_DIR/standalone/ID, in msgpack (store/record.h). */
struct standalone_record {
    char *id;
    enum standalone_policy policy;
    int64_t retries_max;
    bool wanted;
    bool auto_remove;
    bool held;
    bool network_host;
    int64_t stop_grace_ms;
    char **volumes; /* anonymous ones: they go with it */
    size_t volumes_n;
    int64_t created_ms;
};
extern const struct record_type standalone_record_type;

/* What a job has; it touches nothing else. */
struct standalone_job {
    struct runtime *runtime;
    char *data_dir;
    char *run_dir;
    struct standalone_record record; /* a copy */
    struct spec spec;                /* of a create */
    struct container_state state;    /* what was found */
    struct err err;
};

/* Free what @job holds, and @job. */
void standalone_job_free(struct standalone_job *job);

/* Make the container and its volumes, then its record. Nothing is left of a failure. */
void standalone_work_create(struct standalone_job *job);
/* Write the record, durably. */
void standalone_work_save(struct standalone_job *job);
/* Begin the next run; job->state is as of then. */
void standalone_work_start(struct standalone_job *job);
/* Fill job->state; what a killed shim left behind is ended. */
void standalone_work_look(struct standalone_job *job);
void standalone_work_signal(struct standalone_job *job);
void standalone_work_kill(struct standalone_job *job);
/* The container, whatever it does, its anonymous volumes, then its record. */
void standalone_work_remove(struct standalone_job *job);

/* One container that is here, with its state. */
struct standalone_found {
    struct standalone_record record;
    struct container_state state;
};

/* What there is: an array of *@ret_n, which the caller owns with what is in it. Containers that
 * were being made when the daemon ended are removed. */
int standalone_load(struct runtime *rt, const char *data_dir, const char *run_dir,
                    struct standalone_found **ret, size_t *ret_n, struct err *err);

#endif
