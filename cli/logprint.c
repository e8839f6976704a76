/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logprint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/progress.h"
#include "cli/utf8.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void log_printer_init(struct log_printer *printer, bool times, bool prefix, bool full_names)
{
    *printer = (struct log_printer){
        .terminal = isatty(STDOUT_FILENO),
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

/* As strspn(), of at most @len bytes. */
static size_t strspn_n(const char *text, size_t len, const char *accept)
{
    size_t n = 0;
    while (n < len && text[n] && strchr(accept, text[n]))
        n++;
    return n;
}

/* Length of the sequence at @text that sets colours (ECMA-48's SGR), 0 when there is none. */
static size_t colour_length(const char *text, size_t len)
{
    if (len < 3 || text[0] != '\033' || text[1] != '[')
        return 0;
    size_t n = 2 + strspn_n(text + 2, len - 2, "0123456789;:");
    return n < len && text[n] == 'm' ? n + 1 : 0;
}

void log_clean(const char *text, size_t len, struct buf *out)
{
    bool coloured = false;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = colour_length(text + i, len - i);
        if (n > 0)
            coloured = true;
        else
            n = utf8_length(text + i, len - i);
        bool c1 = n == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        if (n == 0 || c1) {
            buf_putc(out, '?');
            n += n == 0;
        } else if (n == 1 && c != '\t' && (c < 0x20 || c == 0x7f)) {
            buf_putc(out, '^');
            buf_putc(out, (char)(c ^ 0x40));
        } else {
            buf_append(out, text + i, n);
        }
        i += n;
    }
    if (coloured)
        buf_puts(out, "\033[0m");
}

/* Without the zone, so that times of other precision compare. */
static void limit(int64_t at_ms, char *out, size_t size)
{
    out[0] = '\0';
    if (at_ms <= 0)
        return;
    clock_format(at_ms, out, size);
    out[strcspn(out, "Z")] = '\0';
}

void log_printer_limit(struct log_printer *printer, int64_t since_ms, int64_t until_ms)
{
    limit(since_ms, printer->since, sizeof(printer->since));
    limit(until_ms, printer->until, sizeof(printer->until));
}

static bool is_left_out(const struct log_printer *printer, const char *time)
{
    if (*time == '\0')
        return false;
    return (printer->since[0] && strncmp(time, printer->since, strlen(printer->since)) < 0) ||
           (printer->until[0] && strncmp(time, printer->until, strlen(printer->until)) > 0);
}

void log_printer_line(struct log_printer *printer, const char *task, const char *time,
                      const char *text, size_t len)
{
    cleanup_buf struct buf line = BUF_INIT;
    const char *name = shown_name(printer, task);
    if (is_left_out(printer, time))
        return;
    pthread_mutex_lock(&printer->lock);
    if (printer->colours)
        buf_printf(&line, "\033[%dm%-*s |\033[0m ", colour_of(task), printer->width, name);
    else if (printer->prefix)
        buf_printf(&line, "%-*s | ", printer->width, name);
    if (printer->times)
        buf_printf(&line, "%s ", *time ? time : "-");
    if (printer->terminal)
        log_clean(text, len, &line);
    else
        buf_append(&line, text, len);
    buf_putc(&line, '\n');
    fwrite(line.data, 1, line.len, stdout);
    pthread_mutex_unlock(&printer->lock);
}
