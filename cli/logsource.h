/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logsource - the log of one task, line by line, wherever the task is.
 *
 *     struct log_source source;
 *     log_source_init(&source, task, has_tail, tail);
 *     log_source_fill(&source, client, wait_ms, &err)       asks the member for more
 *     while (log_source_next(&source)) … source.join.time, source.join.text …
 *
 * A source belongs to one thread at a time.
 */
#ifndef WHERRY_CLI_LOGSOURCE_H
#define WHERRY_CLI_LOGSOURCE_H

#include "cli/logline.h"
#include "cluster/api.h"

struct client;
struct err;

struct log_source {
    int64_t task_id;
    char *task; /* "app.web.2" */
    char *node;
    struct logs_request cursor;
    struct logjoin join;
    bool more;  /* the member has more now */
    bool ended; /* nothing will ever come */
};

/* Start at the beginning, or with the last @tail lines if @has_tail. */
void log_source_init(struct log_source *source, const struct task_info *task, bool has_tail,
                     int64_t tail);

/* Free what @source holds. */
void log_source_release(struct log_source *source);

/* Ask for more, waiting at most @wait_ms for there to be some. A task that is gone has ended. */
int log_source_fill(struct log_source *source, struct client *client, int64_t wait_ms,
                    struct err *err);

/* Take the next line that has arrived. */
bool log_source_next(struct log_source *source);

#endif
