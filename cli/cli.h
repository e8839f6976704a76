/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what every command works with: the words and options it was given, the member it calls, and
 * how it prints.
 *
 * main.c holds the table of commands and calls cli_main(). A command is described by one struct
 * command, from which dispatch, the help texts and the shells' completion follow. Its run function
 * returns 0, or a code with *err, which ends the program with "wherry: MESSAGE" and that code's
 * exit status; a command whose result is no error and yet no success sets cli->exit_status.
 *
 * Results go to stdout, warnings and errors to stderr. One thread unless a function says otherwise.
 */
#ifndef WHERRY_CLI_CLI_H
#define WHERRY_CLI_CLI_H

#include "cli/args.h"
#include "cluster/api.h"

struct client;
struct cli;
struct err;

/* The options of `wherry node` when it is the daemon. */
struct daemon_options {
    const char *name;
    const char *data_dir;
    const char *run_dir;
    const char *address;
    const char *advertise;
    struct arg_texts labels;
    struct arg_texts resources;
    struct arg_texts oci_runtimes;
    const char *seccomp_profile;
    const char *http;
    const char *cgroup_parent;
    bool witness;
    struct arg_texts plain_http;
    int64_t drain_ms;
    int64_t certificate_ms; /* for tests: how long certificates last */
    struct arg_number pretend_level;
    struct arg_number snapshot_entries; /* for tests: between two snapshots */
};

/* Do the command's work. @options is its options' struct, read; @words are what follows the
 * command. */
typedef int (*command_run_cb)(struct cli *cli, const void *options, int words_n, char **words,
                              struct err *err);

struct command {
    const char *name;
    const char *usage;   /* after the name: "[-f FILE] [STACK]" */
    const char *summary; /* one line, for the list of commands; NULL hides the command */
    const char *details; /* paragraphs for its help, or NULL */
    const char *examples;
    const struct arg_option *options;
    size_t options_size; /* of the struct they fill */
    int words_min;
    int words_max;                            /* -1: any number */
    int own_words;                            /* > 0: what follows so many words, options too, is
                                                 for another program */
    bool json;                                /* knows --json */
    bool quiet;                               /* knows -q */
    bool stale;                               /* knows --stale */
    bool local;                               /* calls no member */
    command_run_cb run;                       /* NULL: only subcommands */
    const struct command *const *subcommands; /* NULL-terminated, or NULL */
};

/* What main.c knows and the rest must not include. */
struct program {
    const char *version;
    const struct command *const *commands; /* NULL-terminated */
    int (*run_daemon)(const struct daemon_options *options, struct err *err);
    /* What a member whose daemon is stopped has; with @act make it the only voter first. */
    int (*recover)(const char *data_dir, bool act, struct recover_report *ret, struct err *err);
    /* Has this machine what a member needs? */
    void (*check_host)(const char *data_dir, struct host_checks *ret);
    /* Leave nothing of a daemon on this machine, but perhaps its volumes. */
    int (*uninstall)(const char *data_dir, const char *run_dir, const char *cgroup_parent,
                     bool keep_volumes, struct err *err);
};

struct cli {
    const struct program *program;
    const char *host;    /* -H; see target.h for what else says whom to call */
    const char *token;   /* --token */
    const char *context; /* --context */
    bool help;
    bool version;
    bool json;
    bool quiet;
    bool stale;            /* read the called member's own copy, as it is */
    struct client *client; /* connected at the first call */
    int turns;             /* members of the context that could not serve */
    bool members_known;    /* what replies say of the members was compared with the context */
    int exit_status;
};

/* Find the command in @argv, read its options, run it. Returns the exit status. */
int cli_main(const struct program *program, int argc, char **argv);

/* --- commands (command.c) -------------------------------------------------------------------- */

/* The command of that name, or NULL. */
const struct command *command_find(const struct command *const *commands, const char *name);

/* Append the help of @command, which is called @path ("node ls"). */
void command_describe(const struct command *command, const char *path, struct buf *out);

/* Append the help of the whole program. */
void program_describe(const struct program *program, struct buf *out);

/* ERR_INVALID for an unknown @word among @commands, with a suggestion. @path is "" or "node". */
int command_unknown(const struct command *const *commands, const char *path, const char *word,
                    struct err *err);

/* Options that stand before or after every command. */
extern const struct arg_option global_options[];

/* --- calls (call.c) -------------------------------------------------------------------------- */

enum {
    CALL_MS = 40000, /* for an answer; members give up earlier and say why */
};

/* Call @verb of the member; @request and @ret_reply are of the verb's types (cluster/api.h). A
 * reply is released with record_release(). */
int cli_call(struct cli *cli, const char *verb, const void *request, void *ret_reply,
             struct err *err);

/* As cli_call(), waiting at most @timeout_ms for the answer. */
int cli_call_within(struct cli *cli, const char *verb, const void *request, void *ret_reply,
                    int64_t timeout_ms, struct err *err);

/* Connect another client as cli_call() would. client_close() it. Any thread. */
int cli_connect(const struct cli *cli, struct client **ret_client, struct err *err);

/* As cli_call_within() on @client. Any thread, with a client of its own. */
int cli_call_client(struct client *client, const char *verb, const void *request, void *ret_reply,
                    int64_t timeout_ms, struct err *err);

/* True for a failure that may be over soon: no connection, no leader, busy. */
bool cli_may_retry(int code);

/* The full name of what the user calls @name: names with a dot are full; else the stack of that
 * name if @stacks, else the only service with that short name. The caller frees *@ret_name. */
int cli_resolve(struct cli *cli, const char *name, bool stacks, char **ret_name, struct err *err);

/* --- output (call.c) ------------------------------------------------------------------------- */

/* Print @n records as a JSON array. */
void cli_print_json(const struct record_type *type, const void *records, size_t n);

/* Print one record as a JSON array of one. */
void cli_print_json_one(const struct record_type *type, const void *record);

/* A line "wherry: …" on stderr. Control characters in it are shown as '?'. */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
