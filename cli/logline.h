/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logline - lines of a log in the CRI text format, parts joined.
 *
 *     2026-01-02T03:04:05.678901234Z stdout F text
 *
 * "P" instead of "F" marks a part of a line: the next line of the same stream goes on with it. A
 * text of more than LOGLINE_MAX bytes is given out in pieces of about that size. Pure.
 */
#ifndef WHERRY_CLI_LOGLINE_H
#define WHERRY_CLI_LOGLINE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    LOGLINE_MAX = 256 << 10,
    LOGLINE_TIME = 40, /* room for a time */
};

enum logline_stream {
    LOGLINE_STDOUT,
    LOGLINE_STDERR,
    LOGLINE_STREAMS,
};

/* One line as it is in the log; borrowed from the text that was parsed. */
struct logline {
    char time[LOGLINE_TIME];
    enum logline_stream stream;
    bool partial;
    const char *text;
    size_t len;
};

/* Parse the @len bytes of a line without its newline. False when it is no such line. */
bool logline_parse(const char *line, size_t len, struct logline *ret);

/* Makes lines of the bytes of one log. Zeroed: empty. */
struct logjoin {
    struct buf input; /* bytes that are not looked at yet */
    size_t used;      /* of input */
    struct buf parts[LOGLINE_STREAMS];
    char times[LOGLINE_STREAMS][LOGLINE_TIME]; /* of the first part */
    /* The line that logjoin_next() found. */
    char time[LOGLINE_TIME];
    struct buf text;
};

/* Add bytes of the log. */
void logjoin_add(struct logjoin *join, const void *data, size_t len);

/* Take the next whole line: join->time and join->text until the next call. False when there is none
 * yet. What is no line of the format is given as it is, with the time "". */
bool logjoin_next(struct logjoin *join);

/* The same at the end of the log: also a line whose last part never came. */
bool logjoin_last(struct logjoin *join);

/* Free what @join holds. */
void logjoin_release(struct logjoin *join);

#endif
