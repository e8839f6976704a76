/* SPDX-License-Identifier: Apache-2.0 */
/* container pause, resume, kill, wait, update: how a container runs. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/compose_reader.h"
#include "cli/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control_options {
    const char *node;
    const char *signal;
};

static const struct arg_option node_options[] = {
    CONTAINER_NODE(struct control_options),
    ARG_END,
};

/* Call @verb for each container, and print which it was done to. */
static int for_each(struct cli *cli, const char *verb, const char *node, int n, char **words,
                    struct err *err)
{
    for (int i = 0; i < n; i++) {
        struct container_request request = {.node = TEXT(node), .container = words[i]};
        struct empty reply;
        if (cli_call(cli, verb, &request, &reply, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

/* --- pause, resume, kill -----------------------------------------------------------------------
 */

static int run_pause(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct control_options *o = options;
    return for_each(cli, "container.pause", o->node, words_n, words, err);
}

const struct command command_container_pause = {
    .name = "pause",
    .usage = "[--node NAME] CONTAINER...",
    .summary = "stop all processes of a container where they are",
    .details =
        "Freeze the processes of running containers; they notice nothing, and keep their memory\n"
        "and connections. A task whose container is paused counts as running; its health is not\n"
        "checked meanwhile. Stopping or killing it works as ever.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container pause shop.web.2\n",
    .options = node_options,
    .options_size = sizeof(struct control_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_pause,
};

static int run_resume(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct control_options *o = options;
    return for_each(cli, "container.resume", o->node, words_n, words, err);
}

const struct command command_container_resume = {
    .name = "resume",
    .usage = "[--node NAME] CONTAINER...",
    .summary = "let the processes of a paused container go on",
    .examples = "  wherry container resume shop.web.2\n",
    .options = node_options,
    .options_size = sizeof(struct control_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_resume,
};

static int run_kill(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct control_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct container_signal_request request = {
            .node = TEXT(o->node), .container = words[i], .signal = TEXT(o->signal)};
        struct empty reply;
        if (cli_call(cli, "container.signal", &request, &reply, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

const struct command command_container_kill = {
    .name = "kill",
    .usage = "[-s SIGNAL] [--node NAME] CONTAINER...",
    .summary = "send a signal to the first process of a container",
    .details = "Send SIGKILL, or the signal that is named, to the first process of containers. "
               "What\nhappens when a task's container ends by it is up to the service's restart "
               "policy.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container kill shop.web.2\n"
                "  wherry container kill -s HUP shop.web.2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct control_options, ARG_TEXT, signal, 's', "signal", "SIGNAL",
                       "its name or number: HUP, SIGHUP, 1 (KILL)"),
            CONTAINER_NODE(struct control_options),
            ARG_END,
        },
    .options_size = sizeof(struct control_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_kill,
};

/* --- wait --------------------------------------------------------------------------------------
 */

enum {
    WAIT_MS = 25000,
    ANSWER_MS = 20000, /* above the wait */
};

static int wait_for(struct cli *cli, const char *node, char *container, struct err *err)
{
    struct container_wait_request request = {
        .node = TEXT(node), .container = container, .wait_ms = WAIT_MS};
    for (;;) {
        struct container_wait_reply reply;
        if (cli_call_within(cli, "container.wait", &request, &reply, WAIT_MS + ANSWER_MS, err) < 0)
            return err->code;
        request.run = reply.run;
        if (!reply.ended)
            continue;
        if (reply.exit_unknown)
            return err_set(err, ERR_UNKNOWN,
                           "run %lld of %.60s has ended, but the next began before its exit code "
                           "was seen",
                           (long long)reply.run, container);
        printf("%lld\n", (long long)reply.exit_code);
        return 0;
    }
}

static int run_wait(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct control_options *o = options;
    int rv = 0;
    for (int i = 0; i < words_n && rv == 0; i++)
        rv = wait_for(cli, o->node, words[i], err);
    return rv;
}

const struct command command_container_wait = {
    .name = "wait",
    .usage = "[--node NAME] CONTAINER...",
    .summary = "wait for the end of a container and print its exit code",
    .details =
        "Wait until the run of now has ended and print its exit code (128 + signal for one\n"
        "that was killed). One that has ended already is answered at once.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container wait shop.migrate.1\n",
    .options = node_options,
    .options_size = sizeof(struct control_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_wait,
};

/* --- update ------------------------------------------------------------------------------------
 */

/* The bits of enum container_update_field in runtime/update.h, which this room does not see. */
enum {
    SET_CPU = 1,
    SET_CPU_SHARES = 2,
    SET_CPUSET = 4,
    SET_MEMORY = 8,
    SET_MEMSWAP = 16,
    SET_RESERVED = 32,
    SET_PIDS = 64,
    SET_IO_WEIGHT = 128,
    SET_IO = 256,
};

struct update_options {
    const char *node;
    const char *cpus;
    struct arg_number cpu_shares;
    const char *cpuset;
    const char *memory;
    const char *memory_swap;
    const char *memory_reservation;
    struct arg_number pids;
    struct arg_number io_weight;
    struct arg_texts device_weight;
    struct arg_texts read_bps;
    struct arg_texts write_bps;
    struct arg_texts read_iops;
    struct arg_texts write_iops;
};

static int take_size(const char *name, const char *text, int64_t bit, int64_t *ret, int64_t *set,
                     struct err *err)
{
    if (!text)
        return 0;
    *set |= bit;
    if (strcmp(text, "0") == 0 || compose_size(text, ret))
        return 0;
    return err_set(err, ERR_INVALID, "--%s %.40s: not a size such as 512m (0: none)", name, text);
}

/* "PATH:VALUE" of each, in bytes a second or a plain number. */
static int take_devices(const char *name, const struct arg_texts *texts, int kind, bool bytes,
                        struct container_update_request *r, struct err *err)
{
    for (size_t i = 0; i < texts->n; i++) {
        const char *colon = strrchr(texts->items[i], ':');
        int64_t value = 0;
        bool ok = colon && (bytes ? compose_size(colon + 1, &value)
                                  : compose_number(colon + 1, 1, INT64_MAX, &value));
        if (!ok)
            return err_set(err, ERR_INVALID, "--%s %.60s: not DEVICE:%s", name, texts->items[i],
                           bytes ? "SIZE, as in /dev/sda:10m" : "NUMBER");
        r->io = mem_resize(r->io, r->io_n + 1, sizeof(*r->io));
        r->io[r->io_n++] = (struct container_io_limit){
            .kind = kind,
            .path = str_printf("%.*s", (int)(colon - texts->items[i]), texts->items[i]),
            .value = value};
        r->set |= SET_IO;
    }
    return 0;
}

static int fill_update(const struct update_options *o, struct container_update_request *r,
                       struct err *err)
{
    int rv;
    if (o->cpus) {
        r->set |= SET_CPU;
        if (!compose_milli(o->cpus, &r->cpu_milli))
            return err_set(err, ERR_INVALID, "--cpus %.40s: not a number of cores such as 1.5",
                           o->cpus);
    }
    if (o->cpuset) {
        r->set |= SET_CPUSET;
        r->cpuset = str_copy(o->cpuset);
    }
    if (o->cpu_shares.given) {
        r->set |= SET_CPU_SHARES;
        r->cpu_shares = o->cpu_shares.value;
    }
    if (o->pids.given) {
        r->set |= SET_PIDS;
        r->pids_max = o->pids.value;
    }
    if (o->io_weight.given) {
        r->set |= SET_IO_WEIGHT;
        r->io_weight = o->io_weight.value;
    }
    bool unlimited = o->memory_swap && strcmp(o->memory_swap, "-1") == 0;
    if (unlimited) {
        r->set |= SET_MEMSWAP;
        r->memswap_bytes = -1;
    } else if ((rv = take_size("memory-swap", o->memory_swap, SET_MEMSWAP, &r->memswap_bytes,
                               &r->set, err)) < 0) {
        return rv;
    }
    if ((rv = take_size("memory", o->memory, SET_MEMORY, &r->memory_bytes, &r->set, err)) < 0 ||
        (rv = take_size("memory-reservation", o->memory_reservation, SET_RESERVED,
                        &r->reserved_bytes, &r->set, err)) < 0 ||
        (rv = take_devices("blkio-weight-device", &o->device_weight, 0, false, r, err)) < 0 ||
        (rv = take_devices("device-read-bps", &o->read_bps, 1, true, r, err)) < 0 ||
        (rv = take_devices("device-write-bps", &o->write_bps, 2, true, r, err)) < 0 ||
        (rv = take_devices("device-read-iops", &o->read_iops, 3, false, r, err)) < 0 ||
        (rv = take_devices("device-write-iops", &o->write_iops, 4, false, r, err)) < 0)
        return rv;
    if (r->set == 0)
        return err_set(err, ERR_INVALID,
                       "no limit was given: 'wherry help container update' lists "
                       "them");
    return 0;
}

static int run_update(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct update_options *o = options;
    struct container_update_request request = {0};
    int rv = fill_update(o, &request, err);
    for (int i = 0; i < words_n && rv == 0; i++) {
        struct empty reply;
        free(request.node);
        free(request.container);
        request.node = str_copy(o->node);
        request.container = str_copy(words[i]);
        rv = cli_call(cli, "container.update", &request, &reply, err);
        if (rv == 0)
            printf("%s\n", words[i]);
    }
    record_release(&container_update_request_type, &request);
    return rv < 0 ? rv : 0;
}

const struct command command_container_update = {
    .name = "update",
    .usage = "[LIMITS] [--node NAME] CONTAINER...",
    .summary = "change the limits of a container without a restart",
    .details =
        "Change limits of containers at once; they hold for later runs of the same containers\n"
        "too. A task that takes the place of this one has the limits of its service again: to\n"
        "change those, deploy. Limits of devices take the place of all that were "
        "there.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container update --cpus 0.5 --memory 256m shop.web.2\n"
                "  wherry container update --device-write-bps /dev/sda:10m shop.db.1\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct update_options, ARG_TEXT, cpus, 0, "cpus", "N",
                       "cores it may use, as in 1.5 (0: no limit)"),
            ARG_OPTION(struct update_options, ARG_NUMBER, cpu_shares, 0, "cpu-shares", "N",
                       "its weight beside others, 2 to 262144 (1024)"),
            ARG_OPTION(struct update_options, ARG_TEXT, cpuset, 0, "cpuset-cpus", "LIST",
                       "processors it may run on, as in 0-3,7 (\"\": all)"),
            ARG_OPTION(struct update_options, ARG_TEXT, memory, 'm', "memory", "SIZE",
                       "memory it may use (0: no limit)"),
            ARG_OPTION(struct update_options, ARG_TEXT, memory_swap, 0, "memory-swap", "SIZE",
                       "memory and swap together (0: as the memory, -1: no limit)"),
            ARG_OPTION(struct update_options, ARG_TEXT, memory_reservation, 0, "memory-reservation",
                       "SIZE", "memory it keeps when memory is short"),
            ARG_OPTION(struct update_options, ARG_NUMBER, pids, 0, "pids-limit", "N",
                       "processes and threads (0: the default of 4096)"),
            ARG_OPTION(struct update_options, ARG_NUMBER, io_weight, 0, "blkio-weight", "N",
                       "its weight on disks, 10 to 1000"),
            ARG_OPTION(struct update_options, ARG_TEXTS, device_weight, 0, "blkio-weight-device",
                       "DEVICE:N", "the same on one disk"),
            ARG_OPTION(struct update_options, ARG_TEXTS, read_bps, 0, "device-read-bps",
                       "DEVICE:SIZE", "bytes a second that it may read from a disk"),
            ARG_OPTION(struct update_options, ARG_TEXTS, write_bps, 0, "device-write-bps",
                       "DEVICE:SIZE", "… write to a disk"),
            ARG_OPTION(struct update_options, ARG_TEXTS, read_iops, 0, "device-read-iops",
                       "DEVICE:N", "reads a second"),
            ARG_OPTION(struct update_options, ARG_TEXTS, write_iops, 0, "device-write-iops",
                       "DEVICE:N", "writes a second"),
            CONTAINER_NODE(struct update_options),
            ARG_END,
        },
    .options_size = sizeof(struct update_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_update,
};
