/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logprint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

void log_printer_init(struct log_printer *printer, bool times, bool prefix, bool full_names)
{
    *printer = (struct log_printer){
        .colours = prefix && progress_is_terminal(stdout),
        .times = times,
        .prefix = prefix,
        .full_names = full_names,
    };
    check(pthread_mutex_init(&printer->lock, NULL) == 0);
}

void log_printer_release(struct log_printer *printer)
{
    pthread_mutex_destroy(&printer->lock);
}

static const char *shown_name(const struct log_printer *printer, const char *task)
{
    const char *dot = strchr(task, '.');
    return printer->full_names || !dot ? task : dot + 1;
}

void log_printer_expect(struct log_printer *printer, const char *task)
{
    int width = (int)strlen(shown_name(printer, task));
    pthread_mutex_lock(&printer->lock);
    if (width > printer->width)
        printer->width = width;
    pthread_mutex_unlock(&printer->lock);
}

/* The same for a task every time: colours that can be read on light and on dark. */
static int colour_of(const char *task)
{
    static const int colours[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};
    unsigned hash = 2166136261u;
    for (; *task; task++)
        hash = (hash ^ (unsigned char)*task) * 16777619u;
    return colours[hash % ARRAY_SIZE(colours)];
}

void log_printer_line(struct log_printer *printer, const char *task, const char *time,
                      const char *text, size_t len)
{
    cleanup_buf struct buf line = BUF_INIT;
    const char *name = shown_name(printer, task);
    pthread_mutex_lock(&printer->lock);
    if (printer->colours)
        buf_printf(&line, "\033[%dm%-*s |\033[0m ", colour_of(task), printer->width, name);
    else if (printer->prefix)
        buf_printf(&line, "%-*s | ", printer->width, name);
    if (printer->times)
        buf_printf(&line, "%s ", *time ? time : "-");
    buf_append(&line, text, len);
    buf_putc(&line, '\n');
    fwrite(line.data, 1, line.len, stdout);
    pthread_mutex_unlock(&printer->lock);
}
