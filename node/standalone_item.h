/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standalone_item - what the files of standalone.h share: the containers that are known. Loop
 * thread.
 *
 *     standalone.c         the list, the jobs, the clock
 *     standalone_create.c  making one
 *     standalone_calls.c   starting, stopping and removing by hand
 */
#ifndef WHERRY_NODE_STANDALONE_ITEM_H
#define WHERRY_NODE_STANDALONE_ITEM_H

#include "node/standalone_jobs.h"

#include <uv.h>

enum {
    STANDALONE_GRACE_MAX_MS = 24 * 3600 * 1000,
};

/* Somebody who is answered when it started, ended or is gone. */
struct waiting {
    struct waiting *next;
    struct api_call *call;
    enum standalone_waits {
        WAITS_START,
        WAITS_STOP,
        WAITS_REMOVE,
    } kind;
};

struct standalone_item {
    struct standalone_item *next;
    struct standalone *all;
    struct standalone_record record;
    struct standalone_machine machine;
    struct waiting *waiting;
    bool creating;
    bool busy;    /* a job is under way */
    bool touched; /* its end was signalled meanwhile */
};

struct standalone {
    struct daemon *daemon;
    struct standalone_item *items;
    uv_timer_t timer;
    uv_fs_event_t exits;
    int handles;
    bool loaded;
    bool stopping;
};

/* The one of that id, or NULL. */
struct standalone_item *standalone_find(const struct standalone *all, const char *id);

/* A new one with @record, which it owns from now on. */
struct standalone_item *standalone_add(struct standalone *all, struct standalone_record record);

/* Forget one that nobody waits for and that has no job under way. */
void standalone_drop(struct standalone_item *it);

/* A job about @it, not begun; standalone_job_free(). */
struct standalone_job *standalone_new_job(const struct standalone_item *it);

/* Do what its machine says is due. */
void standalone_step(struct standalone_item *it);

/* Have @c answered when it has come to @kind of struct waiting. */
void standalone_wait(struct standalone_item *it, struct api_call *c, int kind);

/* Answer those who wait for @kind; @err NULL: well. */
void standalone_answer(struct standalone_item *it, int kind, const struct err *err);

/* Answer those who wait for what it has come to. */
void standalone_answer_phase(struct standalone_item *it);

#endif
