/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter - may a caller go into a container: run a command in it, attach to it, put files into it or
 * take them out.
 *
 * All of these are one right, for each gives the others: who may put a file into a container has
 * what runs in there run it. The machine itself and admins may everywhere; a deployer in the tasks
 * of its stacks, but for those that reach more of the machine than a deployer may have deployed
 * (rights_check_enter). Loop thread.
 */
#ifndef WHERRY_NODE_ENTER_H
#define WHERRY_NODE_ENTER_H

#include <stdbool.h>
#include <stdint.h>

struct api_call;
struct task;

/* The task, if the caller of @c may know of it; else @c is answered. Release *@ret. */
bool enter_find_task(struct api_call *c, int64_t id, struct task *ret);

/* May the caller go into the container of @task, @privileged: with all capabilities? Else it is
 * answered why not. */
bool enter_task(struct api_call *c, const struct task *task, bool privileged);

/* The same for a container of this machine by its whole id: a task's, or one of those that are no
 * task's, into which only those may go who may do everything. */
bool enter_container(struct api_call *c, const char *id, bool privileged);

#endif
