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
#include <stdint.h>

struct buf;

struct log_printer {
    pthread_mutex_t lock;
    bool terminal; /* lines are cleaned with log_clean() */
    bool colours;
    bool times;
    bool prefix;
    bool full_names; /* "app.web.2": tasks of several stacks are shown */
    int width;       /* of the longest prefix so far */
    char since[32];  /* lines of before are left out, as a line has its time; "": none */
    char until[32];  /* … and those of after */
};

/* Start printing to stdout. */
void log_printer_init(struct log_printer *printer, bool times, bool prefix, bool full_names);
/* Leave out lines before @since_ms and after @until_ms; 0: none. */
void log_printer_limit(struct log_printer *printer, int64_t since_ms, int64_t until_ms);
/* End it. */
void log_printer_release(struct log_printer *printer);

/* Let prefixes be wide enough for @task. */
void log_printer_expect(struct log_printer *printer, const char *task);

/* Print one line. */
void log_printer_line(struct log_printer *printer, const char *task, const char *time,
                      const char *text, size_t len);

/* Append @text as it may go to a terminal: a container must not move the cursor, clear the screen,
 * set the title or type for the user. Colours stay, and end with the line; other control characters
 * are shown as "^[", bytes that are no UTF-8 as "?". */
void log_clean(const char *text, size_t len, struct buf *out);

#endif
