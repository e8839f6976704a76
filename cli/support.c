/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support: what somebody who helps wants to see, in one archive: what the members say of themselves
 * and of the cluster, and something of this machine. Values of environments are taken out; secrets,
 * keys and passwords are in none of these answers.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar_write.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/container.h"
#include "cli/part_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 20000,
    FILE_MAX = 1 << 20,
    ARCHIVE_MAX = 256 << 20,
    JOURNAL_MAX = 16 << 20,
};

struct support_options {
    bool force;
};

struct support {
    struct cli *cli;
    char *dir;
    struct buf failures;
    size_t files;
};

/* --- files --------------------------------------------------------------------------------- */

static void note(struct support *s, const char *what, const struct err *err)
{
    buf_printf(&s->failures, "%s: %s\n", what, err->msg);
}

static void keep(struct support *s, const char *name, const struct buf *text)
{
    cleanup_free char *path = str_printf("%s/%s", s->dir, name);
    struct err err;
    if (file_write_fast(path, text->len ? text->data : "", text->len, 0600, &err) < 0)
        note(s, name, &err);
    else
        s->files++;
}

/* "KEY=value" without the value. */
static void mask_environment(struct spec *spec)
{
    for (size_t i = 0; i < spec->environment_n; i++) {
        char *text = spec->environment[i];
        char *equals = strchr(text, '=');
        if (!equals || equals[1] == '\0')
            continue;
        equals[1] = '\0';
        spec->environment[i] = str_printf("%s***", text);
        free(text);
    }
}

/* --- what members say ---------------------------------------------------------------------- */

static const struct verb_types {
    const char *verb;
    const struct record_type *request, *reply;
    bool of_each; /* member: the request begins with its name */
} asked[] = {
    {"cluster.status", &empty_type, &status_reply_type, false},
    {"cluster.inspect", &empty_type, &cluster_info_type, false},
    {"node.list", &empty_type, &node_list_reply_type, false},
    {"ca.inspect", &empty_type, &ca_info_type, false},
    {"service.list", &filter_request_type, &service_list_reply_type, false},
    {"task.list", &filter_request_type, &task_list_reply_type, false},
    {"job.list", &filter_request_type, &job_list_reply_type, false},
    {"service.why", &filter_request_type, &why_reply_type, false},
    {"network.list", &name_request_type, &network_list_reply_type, false},
    {"dns.list", &empty_type, &dns_list_reply_type, false},
    {"token.list", &empty_type, &token_list_reply_type, false},
    {"network.status", &network_status_request_type, &network_status_reply_type, true},
    {"volume.list", &volume_request_type, &volume_list_reply_type, true},
    {"container.list", &container_request_type, &container_list_reply_type, true},
    {"image.list", &image_list_request_type, &image_list_reply_type, true},
};

/* The answer of @verb, of member @node if that is given, to a file. */
static void ask(struct support *s, const struct verb_types *verb, const char *node)
{
    cleanup_free void *request = mem_alloc(1, verb->request->size ? verb->request->size : 1);
    cleanup_free void *reply = mem_alloc(1, verb->reply->size);
    cleanup_free char *name =
        node ? str_printf("%s-%s.json", node, verb->verb) : str_printf("%s.json", verb->verb);
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    for (size_t i = 0; node && i < verb->request->fields_n; i++)
        if (strcmp(verb->request->fields[i].name, "node") == 0)
            *(char **)((char *)request + verb->request->fields[i].offset) = str_copy(node);
    int rv = cli_call_within(s->cli, verb->verb, request, reply, WAIT_MS, &err);
    record_release(verb->request, request);
    if (rv < 0) {
        note(s, name, &err);
        return;
    }
    if (verb->reply == &service_list_reply_type) {
        struct service_list_reply *services = reply;
        for (size_t i = 0; i < services->services_n; i++)
            mask_environment(&services->services[i].spec);
    }
    record_json(verb->reply, reply, 0, &text);
    buf_putc(&text, '\n');
    keep(s, name, &text);
    record_release(verb->reply, reply);
}

static void ask_each(struct support *s)
{
    struct node_list_reply nodes;
    struct err err;
    if (cli_call_within(s->cli, "node.list", &(struct empty){0}, &nodes, WAIT_MS, &err) < 0)
        return; /* which was noted */
    for (size_t i = 0; i < nodes.nodes_n; i++)
        for (size_t k = 0; k < ARRAY_SIZE(asked); k++)
            if (asked[k].of_each && str_equal(nodes.nodes[i].status, "up") &&
                !str_equal(nodes.nodes[i].role, "witness"))
                ask(s, &asked[k], nodes.nodes[i].name);
    record_release(&node_list_reply_type, &nodes);
}

static void ask_events(struct support *s)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct event_request request = {0};
    struct err err;
    bool more = true;
    while (more) {
        struct event_reply reply;
        if (cli_call_within(s->cli, "event.list", &request, &reply, WAIT_MS, &err) < 0) {
            note(s, "events", &err);
            break;
        }
        for (size_t i = 0; i < reply.events_n; i++) {
            record_json(&event_info_type, &reply.events[i], -1, &text);
            buf_putc(&text, '\n');
        }
        request.after = reply.last;
        more = reply.more;
        record_release(&event_reply_type, &reply);
    }
    keep(s, "events.json", &text);
}

/* --- this machine -------------------------------------------------------------------------- */

static void copy_file(struct support *s, const char *path, const char *name)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    if (file_read(path, FILE_MAX, &text, &err) < 0)
        note(s, path, &err);
    else
        keep(s, name, &text);
}

/* What the daemon of this machine logged, where systemd keeps that. */
static void copy_journal(struct support *s)
{
    cleanup_buf struct buf text = BUF_INIT;
    char piece[4096];
    size_t n;
    FILE *journal = access("/run/systemd/journal", F_OK) == 0
                        ? popen("journalctl -q -u wherry -n 20000 --no-pager 2>/dev/null", "re")
                        : NULL;
    while (journal && (n = fread(piece, 1, sizeof(piece), journal)) > 0)
        if (text.len < JOURNAL_MAX)
            buf_append(&text, piece, n);
    if (journal)
        pclose(journal);
    if (text.len > 0)
        keep(s, "machine-journal.txt", &text);
}

static void copy_machine(struct support *s)
{
    static const char *const files[][2] = {
        {"/etc/os-release", "machine-os-release.txt"},  {"/proc/version", "machine-version.txt"},
        {"/proc/meminfo", "machine-meminfo.txt"},       {"/proc/loadavg", "machine-loadavg.txt"},
        {"/proc/self/mountinfo", "machine-mounts.txt"}, {"/proc/cgroups", "machine-cgroups.txt"}};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        copy_file(s, files[i][0], files[i][1]);
    copy_journal(s);
}

/* --- the archive --------------------------------------------------------------------------- */

static int write_archive(const struct support *s, const char *path, const char *top, bool force,
                         struct err *err)
{
    struct part_file file;
    int rv = part_file_begin(&file, path, force, err);
    if (rv < 0)
        return rv;
    const struct tar_options options = {.fd = file.fd, .max_bytes = ARCHIVE_MAX};
    cleanup_close int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct tar_writer *w = tar_writer_new(&options);
    rv = dir < 0 ? err_set(err, ERR_IO, "open %s", s->dir) : tar_write_tree(w, dir, ".", top, err);
    if (rv == 0)
        rv = tar_writer_end(w, err);
    tar_writer_free(w);
    return part_file_end(&file, rv, err);
}

static int run_support(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct support_options *o = options;
    char dir[] = "/tmp/wherry-support-XXXXXX";
    char when[40];
    struct err ignored;
    clock_format(clock_wall_ms(), when, sizeof(when));
    when[strcspn(when, "T")] = '\0';
    cleanup_free char *path =
        words_n > 0 ? str_copy(words[0]) : str_printf("wherry-support-%s.tar", when);
    if (!mkdtemp(dir))
        return err_set(err, ERR_IO, "make a folder in /tmp");
    struct support s = {.cli = cli, .dir = dir, .failures = BUF_INIT};
    cli->stale = true; /* also of a cluster without a leader */
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
        if (!asked[i].of_each)
            ask(&s, &asked[i], NULL);
    ask_each(&s);
    ask_events(&s);
    copy_machine(&s);
    if (s.failures.len > 0)
        keep(&s, "failures.txt", &s.failures);
    int rv = write_archive(&s, path, "wherry-support", o->force, err);
    file_remove_tree(dir, &ignored);
    if (rv == 0)
        printf("%s: %zu files%s. Values of environments are left out; look at the rest before you "
               "give it away.\n",
               path, s.files, s.failures.len ? "; what could not be had is in failures.txt" : "");
    buf_release(&s.failures);
    return rv;
}

const struct command command_support = {
    .name = "support",
    .usage = "[-f] [FILE]",
    .summary = "collect what helps somebody to help, in one archive",
    .details =
        "Write a tar archive (default: wherry-support-DATE.tar) with what members say: status,\n"
        "nodes, services, tasks, what waits and why, networks, volumes, images, events; and of "
        "this\n"
        "machine its release, memory, mounts and the daemon's journal. Values of environments are\n"
        "taken out; no secrets, keys or passwords are among it. Names, images, labels and "
        "commands\n"
        "are: look at it before you give it away.",
    .examples = "  wherry support\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct support_options, ARG_FLAG, force, 'f', "force", NULL,
                       "over an existing file"),
            ARG_END,
        },
    .options_size = sizeof(struct support_options),
    .words_max = 1,
    .run = run_support,
};
