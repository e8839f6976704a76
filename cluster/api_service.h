/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_service - records of the verbs by which people handle services that are there (api.h has
 * those of deploying and listing).
 */
#ifndef WHERRY_CLUSTER_API_SERVICE_H
#define WHERRY_CLUSTER_API_SERVICE_H

#include "store/model.h"

/* What is done to a service by hand. "stop", "start", "restart"; "remove" it from its stack; "back"
 * to an earlier revision (0: the last stable one); "pause" its rollout, or "resume" it; "run" a job
 * now, "cancel" a run of it. */
struct service_act_request {
    char *name; /* "app.web" */
    char *action;
    int64_t revision; /* "cancel": number of the run; 0: the only one that is under way */
};

/* What a change would do to tasks, told as by stack.plan: "scale" service @name to @replicas, or
 * "drain" member @name. */
struct dry_run_request {
    char *action;
    char *name;
    int64_t replicas;
};

/* A task goes to another member, "" for any. */
struct task_move_request {
    char *name; /* "app.web.2" */
    char *node;
};

struct revision_info {
    int64_t revision;
    bool current;
    int64_t made_ms; /* 0: by an earlier release, which did not note it */
    char *cause;
    char *image;
    char *state;   /* of the current one: its rollout's; "" for the others */
    char *changes; /* names of fields that differ from the revision before, of those kept */
    struct spec spec;
};

/* The newest last. */
struct history_reply {
    char *name;
    struct revision_info *revisions;
    size_t revisions_n;
};

/* Something that is not as it should be, and its cause. */
struct why_item {
    char *object; /* "app.web", "app.web.2" */
    char *node;   /* a member's name; "" when it is about none */
    char
        *state; /* "stopped", "paused", "waits"; "no": this node does not take it; a task's state */
    char *cause;
    char *advice; /* what to do or look at; "" */
};

struct why_reply {
    struct why_item *items;
    size_t items_n;
    bool cut; /* there is more */
};

/* One run of a job. */
struct run_info {
    int64_t number;
    int64_t revision;
    char *state;
    char *cause;
    char *message;
    int64_t scheduled_ms; /* 0: it follows no schedule */
    int64_t started_ms;
    int64_t ended_ms; /* 0: it runs */
    int64_t tasks;    /* of it that are there */
    int64_t complete;
};

struct job_info {
    char *name; /* "app.backup" */
    char *mode;
    char *image;
    char *schedule; /* "": it runs once for each revision */
    char *time_zone;
    bool stopped;
    int64_t next_ms;       /* when it is due next; 0: not known */
    struct run_info *runs; /* the newest last */
    size_t runs_n;
};

struct job_list_reply {
    struct job_info *jobs;
    size_t jobs_n;
};

extern const struct record_type run_info_type, job_info_type, job_list_reply_type;
extern const struct record_type why_item_type, why_reply_type;
extern const struct record_type dry_run_request_type;
extern const struct record_type service_act_request_type, task_move_request_type,
    revision_info_type, history_reply_type;

#endif
