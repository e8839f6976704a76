/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - rows of text in aligned columns, as commands print lists.
 *
 *     struct table table;
 *     table_init(&table, (const char *[]){"NAME", "STATE", NULL});
 *     table_add(&table, name);
 *     table_addf(&table, "%d", n);
 *     table_print(&table, &out);
 *     table_release(&table);
 *
 * Cells fill the rows from left to right. Widths count characters (UTF-8). Control characters,
 * which may come from anywhere, are shown as '?'. No line has blanks at its end.
 */
#ifndef WHERRY_CLI_TABLE_H
#define WHERRY_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum {
    TABLE_COLUMNS_MAX = 16,
};

struct table {
    size_t columns;
    size_t width[TABLE_COLUMNS_MAX];
    char **cells; /* the heading is the first row; none when the first heading is "" */
    size_t n;
    bool headless;
};

/* Start a table with these headings (NULL-terminated). Headings of "" throughout: no heading. */
void table_init(struct table *table, const char *const *headings);

/* Fill the next cell. NULL is "". */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append the rows to @out. The last row must be full. */
void table_print(const struct table *table, struct buf *out);

/* Free the cells. */
void table_release(struct table *table);

/* Append @text with control characters as '?'. */
void text_clean(const char *text, struct buf *out);

/* Columns of a terminal that @text takes, a character each. */
size_t text_width(const char *text);

#endif
