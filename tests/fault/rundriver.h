/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of rundriver share. */
#ifndef WHERRY_TESTS_RUNDRIVER_H
#define WHERRY_TESTS_RUNDRIVER_H

#include "base/err.h"
#include "runtime/container.h"
#include "runtime/runtime.h"

#include <stdarg.h>
#include <stdbool.h>

extern const char *root, *program_dir;
extern struct err err;

/* Print a finding; the exit status is 1 then. */
void find(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void pause_us(long us);

/* Report what is left when the runtime was closed; @images_too: also images. */
void look(const char *when, bool images_too);

struct runtime *open_runtime(void);

char *netns_path(const char *id);

/* A container of busybox that runs a shell script, with a network namespace that is to be made. */
int create(struct runtime *rt, const char *id, const char *script);

struct container_state wait_end(struct runtime *rt, const char *id);

/* Run "true" in it. */
int exec_true(struct runtime *rt, const char *id);

/* Lives on a disk of which no block is free; @folder is on it (runfull.c). */
void full_disk(const char *folder);

#endif
