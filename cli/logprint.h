/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logprint - lines of several logs on one output: "web.2 | text", a colour for each task on a
 * terminal. Any thread; lines never mix.
 */
#ifndef WHERRY_CLI_LOGPRINT_H
#define WHERRY_CLI_LOGPRINT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct log_printer {
    pthread_mutex_t lock;
    bool colours;
    bool times;
    bool prefix;
    bool full_names; /* "app.web.2": tasks of several stacks are shown */
    int width;       /* of the longest prefix so far */
};

/* Start printing to stdout. */
void log_printer_init(struct log_printer *printer, bool times, bool prefix, bool full_names);
/* End it. */
void log_printer_release(struct log_printer *printer);

/* Let prefixes be wide enough for @task. */
void log_printer_expect(struct log_printer *printer, const char *task);

/* Print one line. */
void log_printer_line(struct log_printer *printer, const char *task, const char *time,
                      const char *text, size_t len);

#endif
