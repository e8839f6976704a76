/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/backup_file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/table.h"
#include "cli/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 256 << 10,
};

int backup_file_check(const char *path, struct backup_header *ret_header, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    cleanup_close int fd =
        standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    cleanup_free char *piece = mem_alloc(1, PIECE_BYTES);
    struct backup_scan *scan = backup_scan_new();
    int rv = 0;
    ssize_t n = 1;
    while (rv == 0 && n != 0) {
        n = read(fd, piece, PIECE_BYTES);
        if (n > 0)
            rv = backup_scan_feed(scan, piece, (size_t)n, err);
        else if (n < 0 && errno != EINTR)
            rv = err_errno(err, errno, "read");
    }
    if (rv == 0)
        rv = backup_scan_end(scan, ret_header, err);
    backup_scan_free(scan);
    return rv < 0 ? err_wrap(err, "%s", path) : 0;
}

static void add_names(struct table *table, const char *what, char *const *names, size_t n)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_puts(&line, "");
    for (size_t i = 0; i < n; i++)
        buf_printf(&line, "%s%s", i > 0 ? ", " : "", names[i]);
    table_add(table, what);
    table_add(table, n > 0 ? line.data : "none");
}

static void print_volumes(const struct backup_header *h)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    if (h->volumes_n == 0)
        return;
    table_init(&table, (const char *[]){"VOLUME", "HOME", NULL});
    for (size_t i = 0; i < h->volumes_n; i++) {
        table_add(&table, h->volumes[i].name);
        table_add(&table, *str_or_empty(h->volumes[i].home) ? h->volumes[i].home : "none yet");
    }
    table_print(&table, &out);
    table_release(&table);
    printf("\n%s", out.data);
}

static void print_stacks(const struct backup_header *h)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    if (h->stacks_n == 0)
        return;
    table_init(&table, (const char *[]){"STACK", "SERVICES", NULL});
    for (size_t i = 0; i < h->stacks_n; i++) {
        table_add(&table, h->stacks[i].name);
        table_addf(&table, "%" PRId64, h->stacks[i].services);
    }
    table_print(&table, &out);
    table_release(&table);
    printf("\n%s", out.data);
}

void backup_file_print(const struct backup_header *h)
{
    cleanup_buf struct buf out = BUF_INIT;
    char when[64];
    struct table table;
    clock_format(h->time_ms, when, sizeof(when));
    table_init(&table, (const char *[]){"", "", NULL});
    table_add(&table, "cluster");
    table_add(&table, str_or_empty(h->cluster));
    table_add(&table, "made");
    table_addf(&table, "%s by %s, wherry %s", when, str_or_empty(h->node),
               str_or_empty(h->version));
    table_add(&table, "state");
    table_addf(&table, "index %" PRId64 ", term %" PRId64 ", level %" PRId64, h->index, h->term,
               h->level);
    table_add(&table, "holds");
    table_addf(&table,
               "%" PRId64 " services, %" PRId64 " tasks, %" PRId64 " networks, %" PRId64
               " tokens, %" PRId64 " events",
               h->services, h->tasks, h->networks, h->tokens, h->events);
    add_names(&table, "members", h->members, h->members_n);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
    print_stacks(h);
    print_volumes(h);
}
