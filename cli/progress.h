/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress - lines that tell how something goes, shown while it does.
 *
 *     struct progress progress;
 *     progress_init(&progress, stdout);
 *     progress_show(&progress, lines, n);     again and again
 *     progress_end(&progress);                the last state stays on the screen
 *
 * On a terminal the lines are one block that is drawn again in place, each cut to its width, at
 * most as many as fit. Elsewhere a line is written once each time it changes.
 */
#ifndef WHERRY_CLI_PROGRESS_H
#define WHERRY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buf;

struct progress {
    FILE *out;
    bool terminal;
    size_t drawn; /* lines of the block on the screen */
    char **shown; /* what stands in each line */
    size_t shown_n;
};

/* True when @out is a terminal that can move its cursor. */
bool progress_is_terminal(FILE *out);

/* Start without any lines. */
void progress_init(struct progress *progress, FILE *out);

/* Show these @n lines, texts without newlines. Line i is always about the same thing. */
void progress_show(struct progress *progress, char *const *lines, size_t n);

/* Take the block off a terminal, as before other output. */
void progress_clear(struct progress *progress);

/* Leave the block where it is and free what is held. */
void progress_end(struct progress *progress);

/* Append @text cut to @width characters, with control characters as '?'. */
void progress_cut(const char *text, size_t width, struct buf *out);

#endif
