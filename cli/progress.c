/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool progress_is_terminal(FILE *out)
{
    const char *term = getenv("TERM");
    return isatty(fileno(out)) && term && *term && strcmp(term, "dumb") != 0;
}

void progress_init(struct progress *progress, FILE *out)
{
    *progress = (struct progress){.out = out, .terminal = progress_is_terminal(out)};
}

void progress_cut(const char *text, size_t width, struct buf *out)
{
    cleanup_buf struct buf clean = BUF_INIT;
    text_clean(text, &clean);
    const char *p = str_or_empty(clean.data);
    bool cut = text_width(p) > width;
    size_t left = cut && width > 0 ? width - 1 : width;
    for (; *p; p++) {
        bool first = ((unsigned char)*p & 0xc0) != 0x80;
        if (first && left == 0)
            break;
        left -= first;
        buf_putc(out, *p);
    }
    if (cut && width > 0)
        buf_puts(out, "…");
}

static void remember(struct progress *p, char *const *lines, size_t n)
{
    if (n > p->shown_n) {
        p->shown = mem_resize(p->shown, n, sizeof(char *));
        memset(p->shown + p->shown_n, 0, (n - p->shown_n) * sizeof(char *));
        p->shown_n = n;
    }
    for (size_t i = 0; i < n; i++) {
        if (str_equal(p->shown[i], lines[i]))
            continue;
        free(p->shown[i]);
        p->shown[i] = str_copy(lines[i]);
    }
}

static bool is_new(const struct progress *p, char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i >= p->shown_n || !str_equal(p->shown[i], lines[i]))
            return true;
    return false;
}

void progress_clear(struct progress *p)
{
    if (p->terminal && p->drawn > 0)
        fprintf(p->out, "\033[%zuA\r\033[J", p->drawn);
    p->drawn = 0;
}

static void draw(struct progress *p, char *const *lines, size_t n)
{
    struct winsize size = {0};
    cleanup_buf struct buf out = BUF_INIT;
    if (ioctl(fileno(p->out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    size_t room = size.ws_row > 2 ? size.ws_row - 2u : 1;
    size_t shown = n > room ? room : n;
    if (p->drawn > 0)
        buf_printf(&out, "\033[%zuA\r", p->drawn);
    for (size_t i = 0; i < shown; i++) {
        progress_cut(lines[i], size.ws_col - 1u, &out);
        buf_puts(&out, "\033[K\n");
    }
    if (n > shown)
        buf_printf(&out, "(%zu more)\033[K\n", n - shown);
    buf_puts(&out, "\033[J");
    fwrite(out.data, 1, out.len, p->out);
    p->drawn = shown + (n > shown);
}

void progress_show(struct progress *p, char *const *lines, size_t n)
{
    if (!is_new(p, lines, n) && (!p->terminal || p->drawn > 0))
        return;
    if (p->terminal)
        draw(p, lines, n);
    for (size_t i = 0; !p->terminal && i < n; i++) {
        if (i < p->shown_n && str_equal(p->shown[i], lines[i]))
            continue;
        cleanup_buf struct buf clean = BUF_INIT;
        text_clean(lines[i], &clean);
        fprintf(p->out, "%s\n", str_or_empty(clean.data));
    }
    fflush(p->out);
    remember(p, lines, n);
}

void progress_end(struct progress *p)
{
    for (size_t i = 0; i < p->shown_n; i++)
        free(p->shown[i]);
    free(p->shown);
    *p = (struct progress){.out = p->out, .terminal = p->terminal};
}
