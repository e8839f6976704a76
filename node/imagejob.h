/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagejob - loads, pulls, pushes, prunes and checks that somebody asked for, and how far they are.
 *
 * The newest few are remembered after their end, so that a caller whose connection broke can still
 * ask what became of it. Loop thread.
 */
#ifndef WHERRY_NODE_IMAGEJOB_H
#define WHERRY_NODE_IMAGEJOB_H

#include <stdbool.h>
#include <stddef.h>

struct api_call;
struct daemon;
struct err;
struct job_request;

enum {
    IMAGE_JOB_WAIT_MS = 30000, /* the longest wait for progress */
    IMAGE_JOB_ID = 20,         /* bytes of an id with its terminator, and some */
};

/* Load the archive at @path, which is deleted afterwards; @name may be NULL or "". ERR_BUSY when
 * too many jobs wait already. */
int image_job_load(struct daemon *d, const char *path, const char *name, char id[IMAGE_JOB_ID],
                   struct err *err);

/* A pull, or a push. Borrowed. */
struct image_transfer {
    bool push;
    const char *name;
    char *const *plain_http; /* registries to speak plain HTTP with */
    size_t plain_http_n;
    const char *platform; /* of a pull; NULL: this machine's */
};

/* Do @transfer. ERR_BUSY likewise. */
int image_job_transfer(struct daemon *d, const struct image_transfer *transfer,
                       char id[IMAGE_JOB_ID], struct err *err);

/* Delete what is unused, or tell what it would be. ERR_BUSY likewise. */
int image_job_prune(struct daemon *d, bool all, bool dry_run, char id[IMAGE_JOB_ID],
                    struct err *err);

/* Check all images, and repair what is wrong. ERR_BUSY likewise. */
int image_job_check(struct daemon *d, bool repair, char id[IMAGE_JOB_ID], struct err *err);

/* Answer image.progress: when the text is another than the one seen, at the end, or when the wait
 * is over. */
void image_job_progress(struct api_call *c, const struct job_request *request);

#endif
