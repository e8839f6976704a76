/* SPDX-License-Identifier: Apache-2.0 */
/*
 * project - a Compose file on its way to a member.
 */
#ifndef WHERRY_CLI_PROJECT_H
#define WHERRY_CLI_PROJECT_H

#include "cli/compose.h"
#include "cluster/api.h"

struct err;

struct arg_texts;

/* Read the Compose file @file (NULL: the usual names) for the stack @stack (NULL: the file's), with
 * the services of @profiles. Warnings and errors are printed to stderr, one a line; then *err sums
 * up. On success release
 * *@ret with compose_project_release(). */
int project_load(const char *file, const char *stack, const struct arg_texts *profiles,
                 struct compose_project *ret, struct err *err);

/* What asks a member to deploy @project. Borrows from it, but for what project_request_release()
 * frees. Its identity is the host and the folder of the file. */
void project_request(const struct compose_project *project, struct deploy_request *ret);
void project_request_release(struct deploy_request *request);

#endif
