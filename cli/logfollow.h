/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfollow - go on printing what tasks write.
 *
 * One thread and one connection for each task, so that a member which does not answer holds up
 * nobody else; the calling thread looks for new tasks.
 */
#ifndef WHERRY_CLI_LOGFOLLOW_H
#define WHERRY_CLI_LOGFOLLOW_H

#include "cluster/api.h"

struct cli;
struct err;
struct log_printer;
struct log_source;

/* The tasks of all @names, each once. ERR_NOTFOUND when a name is not there; without @all, only
 * when none is. record_release() *@ret. (logs.c) */
int log_tasks_list(struct cli *cli, char *const *names, size_t names_n, bool all,
                   struct task_list_reply *ret, struct err *err);

/* Follow @sources (heap memory, taken over) and tasks that come later, until nothing of @names is
 * left or no member answers any more. */
int log_follow(struct cli *cli, char *const *names, size_t names_n, struct log_source *sources,
               size_t sources_n, struct log_printer *printer, struct err *err);

#endif
