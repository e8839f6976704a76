/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 2,
};

void text_clean(const char *text, struct buf *out)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        /* U+0080 to U+009F are control characters too: to some terminals U+009B is "ESC [". */
        bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        buf_putc(out, *p < 0x20 || *p == 0x7f || c1 ? '?' : (char)*p);
        p += c1;
    }
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80; /* not the middle of a character */
    return width;
}

void table_init(struct table *table, const char *const *headings)
{
    *table = (struct table){.headless = true};
    while (headings[table->columns]) {
        check(table->columns < TABLE_COLUMNS_MAX);
        table->headless = table->headless && !*headings[table->columns];
        table->columns++;
    }
    for (size_t i = 0; i < table->columns; i++)
        table_add(table, headings[i]);
}

void table_add(struct table *table, const char *text)
{
    struct buf cell = BUF_INIT;
    size_t column = table->n % table->columns;
    text_clean(str_or_empty(text), &cell);
    if ((table->n & (table->n - 1)) == 0) /* a power of two: full */
        table->cells = mem_resize(table->cells, table->n ? table->n * 2 : 1, sizeof(char *));
    table->cells[table->n] = buf_take(&cell);
    size_t width = text_width(table->cells[table->n++]);
    if (width > table->width[column])
        table->width[column] = width;
}

void table_addf(struct table *table, const char *fmt, ...)
{
    cleanup_buf struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    table_add(table, text.data);
}

void table_print(const struct table *table, struct buf *out)
{
    check(table->n % table->columns == 0);
    for (size_t i = table->headless ? table->columns : 0; i < table->n; i += table->columns) {
        size_t blanks = 0;
        for (size_t k = 0; k < table->columns; k++) {
            const char *cell = table->cells[i + k];
            if (*cell && blanks)
                buf_printf(out, "%*s", (int)blanks, "");
            blanks = *cell ? 0 : blanks;
            buf_puts(out, cell);
            blanks += table->width[k] - text_width(cell) + GAP;
        }
        buf_putc(out, '\n');
    }
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->n; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
