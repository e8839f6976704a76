/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_job - wait for a job of a container on its member (container.job).
 */
#ifndef WHERRY_CLI_CONTAINER_JOB_H
#define WHERRY_CLI_CONTAINER_JOB_H

#include "cluster/api.h"

struct cli;
struct err;

/* Begin @verb with @request, whose reply is a job, and wait for its end. *@ret is what it left;
 * release it with record_release(). Its failure is the error. */
int container_job_run(struct cli *cli, const char *verb, const void *request,
                      struct container_job_reply *ret, struct err *err);

#endif
