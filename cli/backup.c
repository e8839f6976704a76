/* SPDX-License-Identifier: Apache-2.0 */
/* backup: the state of a cluster into a file, and what is in such a file. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/backup_file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/part_file.h"
#include "cli/progress.h"
#include "cli/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TAKE_MS = 120000, /* for the member to make its copy */
    TRIES = 10,       /* of one piece, while the connection is lost */
    RETRY_MS = 500,
    SHOWN_EACH_MS = 200,
};

struct backup_options {
    bool force;
    bool verify;
};

/* --- fetching ----------------------------------------------------------------------------------
 */

static void show(struct progress *progress, int64_t have, int64_t size, int64_t *shown_ms)
{
    char done[UNITS_TEXT];
    char all[UNITS_TEXT];
    int64_t now = clock_boot_ms();
    if (!progress->terminal || (have < size && now - *shown_ms < SHOWN_EACH_MS))
        return;
    *shown_ms = now;
    cleanup_free char *line =
        str_printf("backup: %s of %s", units_size(have, done), units_size(size, all));
    progress_show(progress, &line, 1);
}

/* The member that has the copy may be asked again for the same piece. */
static int fetch_piece(struct cli *cli, const char *id, int64_t offset,
                       struct backup_read_reply *ret, struct err *err)
{
    struct backup_read_request request = {.id = (char *)(uintptr_t)id, .offset = offset};
    int rv = cli_call_within(cli, "backup.read", &request, ret, TAKE_MS, err);
    for (int i = 1; i < TRIES && *id && rv < 0 && cli_may_retry(rv); i++) {
        usleep(RETRY_MS * 1000);
        rv = cli_call_within(cli, "backup.read", &request, ret, TAKE_MS, err);
    }
    return rv;
}

/* Append the pieces to @fd as they come and check them. */
static int fetch(struct cli *cli, int fd, struct progress *progress,
                 struct backup_header *ret_header, int64_t *ret_size, struct err *err)
{
    struct backup_scan *scan = backup_scan_new();
    cleanup_free char *id = str_copy("");
    int64_t offset = 0;
    int64_t size = 1;
    int64_t shown_ms = 0;
    int rv = 0;
    while (rv == 0 && offset < size) {
        struct backup_read_reply piece;
        rv = fetch_piece(cli, id, offset, &piece, err);
        if (rv < 0)
            break;
        cli->stale = true; /* the copy was taken: what comes is of that moment */
        free(id);
        id = str_copy(str_or_empty(piece.id));
        size = piece.size;
        if (piece.data.len == 0 && offset < size)
            rv = err_set(err, ERR_CORRUPT, "the member sent an empty piece");
        if (rv == 0)
            rv = backup_scan_feed(scan, piece.data.data, piece.data.len, err);
        int written = rv == 0 ? fd_write_all(fd, piece.data.data, piece.data.len) : 0;
        if (written < 0)
            rv = err_errno(err, -written, "write the backup");
        offset += (int64_t)piece.data.len;
        record_release(&backup_read_reply_type, &piece);
        if (rv == 0)
            show(progress, offset, size, &shown_ms);
    }
    if (rv == 0)
        rv = backup_scan_end(scan, ret_header, err);
    backup_scan_free(scan);
    if (*id) {
        struct backup_read_request end = {.id = id, .done = true};
        struct backup_read_reply ended;
        struct err ignored;
        if (cli_call(cli, "backup.read", &end, &ended, &ignored) == 0)
            record_release(&backup_read_reply_type, &ended);
    }
    *ret_size = offset;
    return rv;
}

/* --- the file ----------------------------------------------------------------------------------
 */

static int backup_to_file(struct cli *cli, const char *path, bool force, struct progress *progress,
                          struct backup_header *ret_header, int64_t *ret_size, struct err *err)
{
    struct part_file file;
    int rv = part_file_begin(&file, path, force, err);
    if (rv < 0)
        return rv;
    bool fetched = (rv = fetch(cli, file.fd, progress, ret_header, ret_size, err)) == 0;
    rv = part_file_end(&file, rv, err);
    if (rv < 0 && fetched)
        record_release(&backup_header_type, ret_header);
    return rv;
}

static int verify(struct cli *cli, const char *path, struct err *err)
{
    struct backup_header header;
    int rv = backup_file_check(path, &header, err);
    if (rv < 0)
        return rv;
    if (cli->json)
        cli_print_json_one(&backup_header_type, &header);
    else
        printf("%s is whole: cluster %s at index %" PRId64 ".\n", path, header.cluster,
               header.index);
    record_release(&backup_header_type, &header);
    return 0;
}

static int run_backup(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct backup_options *o = options;
    struct backup_header header;
    struct progress progress;
    int64_t size = 0;
    bool standard = strcmp(words[0], "-") == 0;
    (void)words_n;
    if (o->verify)
        return verify(cli, words[0], err);
    if (standard && isatty(STDOUT_FILENO))
        return err_set(err, ERR_INVALID, "a backup is not for a terminal: redirect it to a file");
    progress_init(&progress, stderr);
    int rv = standard ? fetch(cli, STDOUT_FILENO, &progress, &header, &size, err)
                      : backup_to_file(cli, words[0], o->force, &progress, &header, &size, err);
    progress_clear(&progress);
    progress_end(&progress);
    if (rv < 0)
        return rv;
    char text[UNITS_TEXT];
    if (!standard && cli->json)
        cli_print_json_one(&backup_header_type, &header);
    else if (!standard)
        printf("%s: cluster %s at index %" PRId64 ", %" PRId64 " services, %s.\n", words[0],
               header.cluster, header.index, header.services, units_size(size, text));
    record_release(&backup_header_type, &header);
    return 0;
}

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct backup_header header;
    (void)options;
    (void)words_n;
    int rv = backup_file_check(words[0], &header, err);
    if (rv < 0)
        return rv;
    if (cli->json)
        cli_print_json_one(&backup_header_type, &header);
    else
        backup_file_print(&header);
    record_release(&backup_header_type, &header);
    return 0;
}

static const struct command backup_inspect = {
    .name = "inspect",
    .usage = "FILE",
    .summary = "check a backup and show what is in it; needs no daemon",
    .examples = "  wherry backup inspect cluster.backup\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .local = true,
    .run = run_inspect,
};

const struct command command_backup = {
    .name = "backup",
    .usage = "[--force] FILE|-",
    .summary = "write the whole state of the cluster to a file",
    .details =
        "Write the whole state of the cluster, as it is at one moment and with everything that "
        "was\n"
        "acknowledged before, to FILE or standard output. Any member can be asked; nothing stops\n"
        "meanwhile. The content of volumes and the keys of the cluster are not in it.\n"
        "'wherry restore' makes a new cluster of it. With --verify, FILE is read and checked.",
    .examples = "  wherry backup cluster.backup\n"
                "  wherry backup - | ssh vault 'cat > cluster.backup'\n"
                "  wherry backup --verify cluster.backup\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct backup_options, ARG_FLAG, force, 'f', "force", NULL,
                       "replace FILE when it exists"),
            ARG_OPTION(struct backup_options, ARG_FLAG, verify, 0, "verify", NULL,
                       "check FILE instead; needs no daemon"),
            ARG_END,
        },
    .options_size = sizeof(struct backup_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_backup,
    .subcommands = (const struct command *const[]){&backup_inspect, NULL},
};
