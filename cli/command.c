/* SPDX-License-Identifier: Apache-2.0 */
/* From the arguments to the command, and the help texts. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/habit.h"
#include "cluster/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMMANDS_MAX = 64,
};

const struct arg_option global_options[] = {
    ARG_OPTION(struct cli, ARG_TEXT, host, 'H', "host", "TARGET",
               "the member to call: ADDRESS[:PORT] or unix:///PATH (also: WHERRY_HOST)"),
    ARG_OPTION(struct cli, ARG_TEXT, token, 0, "token", "TOKEN",
               "what lets you call a member of another machine (also: WHERRY_TOKEN)"),
    ARG_OPTION(struct cli, ARG_TEXT, context, 0, "context", "NAME",
               "call a cluster that 'wherry login' knows (also: WHERRY_CONTEXT)"),
    ARG_OPTION(struct cli, ARG_FLAG, help, 'h', "help", NULL, "show help and end"),
    ARG_END,
};

/* Of commands that call no member. */
static const struct arg_option help_options[] = {
    ARG_OPTION(struct cli, ARG_FLAG, help, 'h', "help", NULL, "show help and end"),
    ARG_END,
};

/* Only before any command. */
static const struct arg_option program_options[] = {
    ARG_OPTION(struct cli, ARG_FLAG, version, 'V', "version", NULL, NULL),
    ARG_END,
};

static const struct arg_option json_options[] = {
    ARG_OPTION(struct cli, ARG_FLAG, json, 0, "json", NULL, "print a JSON array of objects"),
    ARG_END,
};

static const struct arg_option quiet_options[] = {
    ARG_OPTION(struct cli, ARG_FLAG, quiet, 'q', "quiet", NULL,
               "print nothing but the names, or the token"),
    ARG_END,
};

static const struct arg_option stale_options[] = {
    ARG_OPTION(struct cli, ARG_FLAG, stale, 0, "stale", NULL,
               "show what the called member has, without asking the leader: it may be late"),
    ARG_END,
};

/* --- help --------------------------------------------------------------------------------------
 */

const struct command *command_find(const struct command *const *commands, const char *name)
{
    for (; *commands; commands++)
        if (strcmp((*commands)->name, name) == 0)
            return *commands;
    return NULL;
}

static void list_commands(const struct command *const *commands, struct buf *out)
{
    for (; *commands; commands++)
        if ((*commands)->summary)
            buf_printf(out, "  %-12s%s\n", (*commands)->name, (*commands)->summary);
}

void command_describe(const struct command *command, const char *path, struct buf *out)
{
    const char *intro = "Usage: ";
    if (command->run) {
        buf_printf(out, "%swherry %s%s%s\n", intro, path, *command->usage ? " " : "",
                   command->usage);
        intro = "       ";
    }
    if (command->subcommands)
        buf_printf(out, "%swherry %s COMMAND\n", intro, path);
    if (command->details)
        buf_printf(out, "\n%s\n", command->details);
    else if (command->summary)
        buf_printf(out, "\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->subcommands) {
        buf_puts(out, "\nCommands:\n");
        list_commands(command->subcommands, out);
    }
    buf_puts(out, "\nOptions:\n");
    args_describe(command->options, NULL, out);
    if (command->json)
        args_describe(json_options, NULL, out);
    if (command->quiet)
        args_describe(quiet_options, NULL, out);
    if (command->stale)
        args_describe(stale_options, NULL, out);
    args_describe(command->local ? help_options : global_options, command->options, out);
    if (command->examples)
        buf_printf(out, "\nExamples:\n%s", command->examples);
}

void program_describe(const struct program *program, struct buf *out)
{
    buf_puts(out, "Usage: wherry [OPTIONS] COMMAND\n\n"
                  "Wherry runs the services of Compose files on a cluster of machines.\n\n"
                  "Commands:\n");
    list_commands(program->commands, out);
    buf_puts(out, "\nOptions:\n");
    args_describe(global_options, NULL, out);
    buf_puts(out, "\n'wherry help COMMAND' shows a command's options and examples.\n"
                  "To begin: 'wherry node' as root on each machine, 'wherry init' on the first,\n"
                  "'wherry join' on the others, then 'wherry deploy'.\n");
}

int command_unknown(const struct command *const *commands, const char *path, const char *word,
                    struct err *err)
{
    const char *names[COMMANDS_MAX + 1] = {0};
    size_t n = 0;
    for (; commands[n] && n < COMMANDS_MAX; n++)
        names[n] = commands[n]->name;
    const char *nearest = args_nearest(word, names);
    const char *habit = habit_find(path, word);
    const char *blank = *path ? " " : "";
    if (habit)
        return err_set(err, ERR_INVALID, "unknown command '%s%s%.60s' (%s)", path, blank, word,
                       habit);
    if (nearest)
        return err_set(err, ERR_INVALID, "unknown command '%s%s%.60s' (did you mean '%s'?)", path,
                       blank, word, nearest);
    return err_set(err, ERR_INVALID, "unknown command '%s%s%.60s' ('wherry help%s%s' lists them)",
                   path, blank, word, blank, path);
}

/* --- from the arguments to the command ---------------------------------------------------------
 */

struct chosen {
    const struct command *command; /* NULL: the program itself */
    char path[64];                 /* "node ls" */
};

static void remove_word(int *argc, char **argv, int at)
{
    memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof(*argv));
    (*argc)--;
}

/* Take the words of the command out of the arguments. */
static int choose(const struct program *program, int *argc, char **argv, struct chosen *ret,
                  struct err *err)
{
    struct arg_set sets[] = {{global_options, NULL}, {NULL, NULL}};
    const struct command *const *commands = program->commands;
    *ret = (struct chosen){0};
    while (commands) {
        int at = args_first_word(sets, 2, *argc, argv);
        if (at == *argc)
            return 0;
        const struct command *found = command_find(commands, argv[at]);
        if (!found && ret->command && ret->command->run)
            return 0; /* a word for the command itself */
        if (!found)
            return command_unknown(commands, ret->path, argv[at], err);
        remove_word(argc, argv, at);
        size_t len = strlen(ret->path);
        snprintf(ret->path + len, sizeof(ret->path) - len, "%s%s", len ? " " : "", found->name);
        ret->command = found;
        commands = found->subcommands;
        sets[1].options = found->options;
    }
    return 0;
}

static int check_words(const struct command *command, const char *path, int n, char **words,
                       struct err *err)
{
    if (!command->run)
        return err_set(err, ERR_INVALID, "'%s' needs a command: 'wherry help %s' lists them", path,
                       path);
    if (n < command->words_min)
        return err_set(err, ERR_INVALID, "too few arguments; usage: wherry %s %s", path,
                       command->usage);
    if (command->words_max >= 0 && n > command->words_max) {
        if (command->subcommands)
            return command_unknown(command->subcommands, path, words[0], err);
        return err_set(err, ERR_INVALID, "too many arguments, from '%.60s' on; usage: wherry %s %s",
                       words[command->words_max], path, command->usage);
    }
    return 0;
}

static void print_help(const struct cli *cli, const struct chosen *chosen)
{
    cleanup_buf struct buf out = BUF_INIT;
    if (chosen->command)
        command_describe(chosen->command, chosen->path, &out);
    else
        program_describe(cli->program, &out);
    fputs(out.data, stdout);
}

/* Say where the options are listed, and nothing of one that the command does not have. */
static void amend(const struct chosen *chosen, struct err *err)
{
    static const char unknown[] = "unknown option ", stale[] = "; --stale shows";
    struct err was = *err;
    char *at = strstr(was.msg, stale);
    if (at && !chosen->command->stale) {
        *at = '\0';
        err_set(err, was.code, "%s", was.msg);
    }
    if (strncmp(was.msg, unknown, sizeof(unknown) - 1) == 0 && !strchr(was.msg, '('))
        err_set(err, was.code, "%.200s ('wherry help %s' lists them)", was.msg, chosen->path);
}

/* How many of the arguments are the command's own, and not of the program that it runs. */
static int own_arguments(const struct command *command, const struct arg_set *sets, size_t sets_n,
                         int argc, char **argv)
{
    int at = command->own_words > 0 ? 0 : argc;
    for (int i = 0; i <= command->own_words && at < argc; i++) {
        int word = at + args_first_word(sets, sets_n, argc - at, argv + at);
        if (i == command->own_words)
            return word;
        at = word + 1;
    }
    return at < argc ? at : argc;
}

static int run_command(struct cli *cli, const struct chosen *chosen, int argc, char **argv,
                       struct err *err)
{
    const struct command *command = chosen->command;
    cleanup_free void *options = mem_alloc(1, command->options_size + 1);
    struct arg_set sets[] = {{command->options, options},
                             {global_options, cli},
                             {command->json ? json_options : NULL, cli},
                             {command->quiet ? quiet_options : NULL, cli},
                             {command->stale ? stale_options : NULL, cli}};
    int own = own_arguments(command, sets, ARRAY_SIZE(sets), argc, argv);
    int words = args_parse(sets, ARRAY_SIZE(sets), own, argv, err);
    if (words >= 0) {
        memmove(argv + words, argv + own, (size_t)(argc - own) * sizeof(*argv));
        words += argc - own;
    }
    int rv = words;
    if (rv >= 0 && cli->help)
        print_help(cli, chosen);
    else if (rv >= 0)
        rv = check_words(command, chosen->path, words, argv, err);
    if (rv >= 0 && !cli->help)
        rv = command->run(cli, options, words, argv, err);
    if (rv < 0)
        amend(chosen, err);
    args_release(&sets[0]);
    return rv < 0 ? rv : 0;
}

/* No command: help or the version was asked for, or nothing was. */
static int run_program(struct cli *cli, int argc, char **argv, struct err *err)
{
    struct arg_set sets[] = {{global_options, cli}, {program_options, cli}};
    int words = args_parse(sets, ARRAY_SIZE(sets), argc, argv, err);
    if (words < 0)
        return words;
    if (words > 0)
        return command_unknown(cli->program->commands, "", argv[0], err);
    if (cli->version) {
        printf("wherry %s\n", cli->program->version);
        return 0;
    }
    print_help(cli, &(struct chosen){0});
    cli->exit_status = cli->help ? 0 : 2;
    return 0;
}

int cli_main(const struct program *program, int argc, char **argv)
{
    struct cli cli = {.program = program};
    struct chosen chosen;
    struct err err = {0};
    argc = argc > 0 ? argc - 1 : 0;
    argv++;
    int rv = choose(program, &argc, argv, &chosen, &err);
    if (rv == 0 && chosen.command)
        rv = run_command(&cli, &chosen, argc, argv, &err);
    else if (rv == 0)
        rv = run_program(&cli, argc, argv, &err);
    client_close(cli.client);
    if (rv == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rv = err_errno(&err, errno, "write to standard output");
    if (rv == 0)
        return cli.exit_status;
    cli_warn("%s", err.msg);
    return err_exit_status(err.code);
}
