/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagejob - loads and pulls that somebody asked for, and how far they are.
 *
 * The newest few are remembered after their end, so that a caller whose connection broke can still
 * ask what became of it. Loop thread.
 */
#ifndef WHERRY_NODE_IMAGEJOB_H
#define WHERRY_NODE_IMAGEJOB_H

#include <stddef.h>

struct api_call;
struct daemon;
struct err;
struct job_request;

enum {
    IMAGE_JOB_ID = 20, /* bytes of an id with its terminator, and some */
};

/* Load the archive at @path, which is deleted afterwards; @name may be NULL or "". ERR_BUSY when
 * too many jobs wait already. */
int image_job_load(struct daemon *d, const char *path, const char *name, char id[IMAGE_JOB_ID],
                   struct err *err);

/* Pull @name; @plain_http are registries to speak plain HTTP with. ERR_BUSY likewise. */
int image_job_pull(struct daemon *d, const char *name, char *const *plain_http, size_t n,
                   char id[IMAGE_JOB_ID], struct err *err);

/* Answer image.progress: when the text is another than the one seen, at the end, or when the wait
 * is over. */
void image_job_progress(struct api_call *c, const struct job_request *request);

#endif
