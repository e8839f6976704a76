/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_write(enum log_level level, const char *room, const char *fmt, ...)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    if (level < threshold)
        return;
    char when[40];
    clock_format(clock_wall_ms(), when, sizeof(when));
    char line[1024];
    int n = snprintf(line, sizeof(line), "%s %s %s: ", when, names[level], room);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, args);
    va_end(args);
    size_t len = strlen(line);
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[len++] = '\n';
    /* One write a line: lines of several threads never mix. */
    ssize_t rv = write(STDERR_FILENO, line, len);
    (void)rv;
}
