/* SPDX-License-Identifier: Apache-2.0 */
/* volume backup, restore, move. */
#include "cli/volume_copy.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/container.h"
#include "cli/container_job.h"
#include "cli/hand.h"
#include "cli/part_file.h"
#include "cli/pieces.h"
#include "cli/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 120000,
    PIECE = 1 << 16,
};

struct copy_options {
    const char *node;
    const char *snapshot;
    bool force;
    int64_t timeout_ms;
};

/* The archive of a volume to @fd, a file, checked; *@ret_size are its bytes. */
static int pack(struct cli *cli, const char *node, char *volume, const char *snapshot, int fd,
                int64_t *ret_size, struct err *err)
{
    struct volume_copy_request request = {
        .node = TEXT(node), .volume = volume, .snapshot = TEXT(snapshot)};
    struct container_job_reply reply;
    char digest[DIGEST_TEXT];
    int rv = container_job_run(cli, "volume.pack", &request, &reply, err);
    if (rv < 0)
        return rv;
    rv = pieces_fetch(cli, node, NULL, reply.upload, fd, err);
    if (rv == 0)
        rv = digest_file_text(fd, digest, err);
    if (rv == 0 && !str_equal(digest, reply.digest))
        rv = err_set(err, ERR_CORRUPT, "the archive was damaged on its way here: try again");
    *ret_size = reply.size;
    record_release(&container_job_reply_type, &reply);
    return rv;
}

static int unpack(struct cli *cli, const char *node, char *volume, int fd, bool replace,
                  struct err *err)
{
    cleanup_free char *upload = NULL;
    struct container_job_reply reply;
    char digest[DIGEST_TEXT] = "";
    /* Of a pipe it cannot be told before. */
    int rv = lseek(fd, 0, SEEK_CUR) < 0 ? 0 : digest_file_text(fd, digest, err);
    if (rv == 0)
        rv = pieces_send(cli, node, NULL, fd, &upload, err);
    if (rv < 0)
        return rv;
    struct volume_copy_request request = {.node = TEXT(node),
                                          .volume = volume,
                                          .upload = upload,
                                          .digest = digest,
                                          .replace = replace};
    rv = container_job_run(cli, "volume.unpack", &request, &reply, err);
    if (rv == 0)
        record_release(&container_job_reply_type, &reply);
    return rv;
}

/* --- backup ------------------------------------------------------------------------------------
 */

static int backup_to(struct cli *cli, const struct copy_options *o, char *volume, const char *path,
                     int64_t *ret_size, struct err *err)
{
    struct part_file file;
    int rv = part_file_begin(&file, path, o->force, err);
    if (rv < 0)
        return rv;
    return part_file_end(&file, pack(cli, o->node, volume, o->snapshot, file.fd, ret_size, err),
                         err);
}

static int backup_out(struct cli *cli, const struct copy_options *o, char *volume, struct err *err)
{
    cleanup_close int fd = -1;
    char piece[PIECE];
    int64_t size;
    ssize_t n;
    if (isatty(STDOUT_FILENO))
        return err_set(err, ERR_INVALID,
                       "standard output is a terminal: redirect the archive to a file");
    int rv = pieces_temporary(&fd, err);
    if (rv == 0)
        rv = pack(cli, o->node, volume, o->snapshot, fd, &size, err);
    while (rv == 0 && (n = read(fd, piece, sizeof(piece))) > 0)
        if (fwrite(piece, 1, (size_t)n, stdout) != (size_t)n)
            rv = err_errno(err, errno, "write the archive");
    if (rv == 0 && fflush(stdout) != 0)
        rv = err_errno(err, errno, "write the archive");
    return rv;
}

static int run_backup(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct copy_options *o = options;
    char size[UNITS_TEXT];
    int64_t bytes;
    (void)words_n;
    if (strcmp(words[1], "-") == 0)
        return backup_out(cli, o, words[0], err);
    int rv = backup_to(cli, o, words[0], words[1], &bytes, err);
    if (rv == 0)
        printf("%s: volume %s, %s\n", words[1], words[0], units_size(bytes, size));
    return rv;
}

#define COPY_NODE                                                                                  \
    ARG_OPTION(struct copy_options, ARG_TEXT, node, 0, "node", "NAME",                             \
               "the member whose volume it is (the called one)")

const struct command command_volume_backup = {
    .name = "backup",
    .usage = "[--node NAME] [--snapshot NAME] [--force] VOLUME FILE|-",
    .summary = "write a volume's content to a tar archive",
    .details =
        "Write all that is in a volume of a machine to a tar archive: files with owners, modes, "
        "links\nand extended attributes. What is in use is read as it is at that moment: what "
        "must be of one\nmoment is taken from a snapshot (--snapshot), stopped before, 'wherry "
        "stop', or dumped by its\nown means. "
        "The archive is whole,\nand its checksum was compared, or there is none.",
    .examples = "  wherry volume backup --node n2 shop_data data.tar\n"
                "  wherry volume backup shop_data - | zstd >data.tar.zst\n",
    .options = (const struct arg_option[]){ARG_OPTION(struct copy_options, ARG_FLAG, force, 'f',
                                                      "force", NULL, "over an existing file"),
                                           ARG_OPTION(struct copy_options, ARG_TEXT, snapshot, 0,
                                                      "snapshot", "NAME",
                                                      "what the volume was in that snapshot"),
                                           COPY_NODE, ARG_END},
    .options_size = sizeof(struct copy_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_backup,
};

/* --- restore -----------------------------------------------------------------------------------
 */

/* Services have the volume as it is on another member. */
static bool is_copy(struct cli *cli, const struct copy_options *o, char *volume)
{
    struct volume_request request = {.node = TEXT(o->node), .volume = volume};
    struct volume_list_reply reply;
    struct err err;
    if (cli_call_within(cli, "volume.inspect", &request, &reply, WAIT_MS, &err) < 0)
        return false;
    bool copy = reply.volumes_n == 1 && !reply.volumes[0].home;
    record_release(&volume_list_reply_type, &reply);
    return copy;
}

/* A volume that lost its home, or never had one, has it where it was restored. */
static int give_home(struct cli *cli, const struct copy_options *o, char *volume, struct err *err)
{
    struct volume_home_request home = {.volume = volume, .to = TEXT(o->node)};
    struct empty reply;
    int rv = cli_call(cli, "volume.home", &home, &reply, err);
    if (rv == ERR_CONFLICT && is_copy(cli, o, volume))
        cli_warn("the home of volume %s is another member: services have it there, this is a copy",
                 volume);
    /* A machine in no cluster has no state that could know. */
    return rv == ERR_CONFLICT || rv == ERR_NOTFOUND || rv == ERR_UNAVAILABLE ? 0 : rv;
}

static int run_restore(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct copy_options *o = options;
    cleanup_close int opened = -1;
    int fd = STDIN_FILENO;
    struct volume_request create = {.node = TEXT(o->node), .volume = words[0]};
    struct empty reply;
    (void)words_n;
    if (strcmp(words[1], "-") != 0) {
        fd = opened = open(words[1], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(err, errno, "open %s", words[1]);
    }
    /* The state is told of it, too. */
    int rv = cli_call(cli, "volume.create", &create, &reply, err);
    if (rv == 0)
        rv = unpack(cli, o->node, words[0], fd, o->force, err);
    if (rv == 0)
        rv = give_home(cli, o, words[0], err);
    if (rv == 0)
        printf("%s\n", words[0]);
    return rv;
}

const struct command command_volume_restore = {
    .name = "restore",
    .usage = "[--node NAME] [--force] VOLUME FILE|-",
    .summary = "fill a volume from a tar archive",
    .details =
        "Unpack a tar archive, plain, gzip or zstd, into a volume of a machine, which is made if "
        "it is\nmissing. Owners are those of the archive. One that is not empty is left alone "
        "unless --force,\nand one that a container has in any case: stop its service first.",
    .examples = "  wherry volume restore --node n2 shop_data data.tar\n",
    .options =
        (const struct arg_option[]){ARG_OPTION(struct copy_options, ARG_FLAG, force, 'f', "force",
                                               NULL, "what is in the volume goes first"),
                                    COPY_NODE, ARG_END},
    .options_size = sizeof(struct copy_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_restore,
};

/* --- move --------------------------------------------------------------------------------------
 */

/* The member that is the home of a volume. */
static int find_home(struct cli *cli, char *volume, struct volume_info *ret, struct err *err)
{
    struct node_list_reply nodes;
    cleanup_free char *silent = NULL;
    bool found = false;
    if (cli_call(cli, "node.list", &(struct empty){0}, &nodes, err) < 0)
        return err->code;
    for (size_t i = 0; i < nodes.nodes_n && !found; i++) {
        struct volume_request request = {.node = nodes.nodes[i].name, .volume = volume};
        struct volume_list_reply reply;
        struct err failed;
        if (str_equal(nodes.nodes[i].role, "witness"))
            continue;
        if (!str_equal(nodes.nodes[i].status, "up")) {
            free(silent);
            silent = str_copy(nodes.nodes[i].name);
            continue;
        }
        if (cli_call_within(cli, "volume.inspect", &request, &reply, WAIT_MS, &failed) < 0)
            continue;
        if (reply.volumes_n == 1 && reply.volumes[0].home) {
            *ret = reply.volumes[0];
            reply.volumes[0] = (struct volume_info){0};
            found = true;
        }
        record_release(&volume_list_reply_type, &reply);
    }
    record_release(&node_list_reply_type, &nodes);
    if (found)
        return 0;
    return err_set(err, ERR_NOTFOUND,
                   silent ? "no member that is up is the home of a volume '%.100s'; %.60s is down"
                          : "no member is the home of a volume '%.100s'",
                   volume, str_or_empty(silent));
}

/* Services, by name. */
struct names {
    char **list;
    size_t n;
};

/* Enter @name unless its service is stopped already, and the one whose network it shares: where the
 * volume goes both go. */
static int note_running(struct cli *cli, char *name, struct names *running, struct err *err)
{
    struct service_info service;
    for (size_t i = 0; i < running->n; i++)
        if (str_equal(running->list[i], name))
            return 0;
    int rv = cli_call(cli, "service.inspect", &(struct name_request){.name = name}, &service, err);
    if (rv < 0)
        return rv;
    if (!service.stopped) {
        running->list = mem_resize(running->list, running->n + 1, sizeof(*running->list));
        running->list[running->n++] = str_copy(name);
    }
    const char *host = str_or_empty(service.spec.network_of);
    cleanup_free char *full = *host ? str_printf("%s.%s", service.stack, host) : NULL;
    record_release(&service_info_type, &service);
    return full ? note_running(cli, full, running, err) : 0;
}

/* Those of its services that run are stopped, and are in @stopped then. */
static int stop_services(struct cli *cli, const struct copy_options *o,
                         const struct volume_info *volume, struct names *stopped, struct err *err)
{
    for (size_t i = 0; i < volume->services_n; i++)
        if (note_running(cli, volume->services[i], stopped, err) < 0)
            return err->code;
    return stopped->n ? hand_services(cli, "stop", stopped->list, stopped->n, o->timeout_ms, err)
                      : 0;
}

static int carry(struct cli *cli, const struct copy_options *o, const struct volume_info *volume,
                 char *to, struct err *err)
{
    cleanup_close int fd = -1;
    int64_t size;
    int rv = pieces_temporary(&fd, err);
    if (rv == 0)
        rv = pack(cli, volume->node, volume->name, NULL, fd, &size, err);
    if (rv == 0)
        rv = unpack(cli, to, volume->name, fd, o->force, err);
    struct volume_home_request home = {.volume = volume->name, .from = volume->node, .to = to};
    struct empty reply;
    return rv == 0 ? cli_call(cli, "volume.home", &home, &reply, err) : rv;
}

static int run_move(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct copy_options *o = options;
    struct volume_info volume = {0};
    struct names stopped = {0};
    struct err later;
    (void)words_n;
    int rv = find_home(cli, words[0], &volume, err);
    if (rv < 0)
        return rv;
    if (str_equal(volume.node, words[1]))
        rv = err_set(err, ERR_INVALID, "volume %s is on %s already", words[0], words[1]);
    if (rv == 0)
        rv = stop_services(cli, o, &volume, &stopped, err);
    if (rv == 0)
        rv = carry(cli, o, &volume, words[1], err);
    /* Whatever became of it they run again, where its home is. */
    if (stopped.n > 0 &&
        hand_services(cli, "start", stopped.list, stopped.n, o->timeout_ms,
                      rv == 0 ? err : &later) < 0 &&
        rv == 0)
        rv = err->code;
    if (rv == 0)
        printf(
            "Volume %s is on %s now. What it was on %s is there yet: 'wherry volume rm --node %s "
            "%s' deletes it.\n",
            words[0], words[1], volume.node, volume.node, words[0]);
    for (size_t i = 0; i < stopped.n; i++)
        free(stopped.list[i]);
    free(stopped.list);
    record_release(&volume_info_type, &volume);
    return rv;
}

const struct command command_volume_move = {
    .name = "move",
    .usage = "[--force] [--timeout DURATION] VOLUME NODE",
    .summary = "give a volume another member as its home, with its content",
    .details =
        "Stop the services that mount the volume, copy it to the other member, compare checksums, "
        "make\nthat its home, and start them again, there. If anything fails its home stays where "
        "it was, and\nthey start there. The old content stays until it is removed by hand.",
    .examples = "  wherry volume move shop_data n3\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct copy_options, ARG_FLAG, force, 'f', "force", NULL,
                       "what is in a volume of that name on the other member goes"),
            ARG_OPTION(struct copy_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait for services (default 5m)"),
            ARG_END,
        },
    .options_size = sizeof(struct copy_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_move,
};
