/* SPDX-License-Identifier: Apache-2.0 */
/* version, help, completion, manual, debug. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/manual.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int run_version(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    (void)options;
    (void)words_n;
    (void)words;
    (void)err;
    printf("wherry %s\n", cli->program->version);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version of this program",
    .local = true,
    .run = run_version,
};

static int run_help(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    cleanup_buf struct buf path = BUF_INIT;
    const struct command *const *commands = cli->program->commands;
    const struct command *command = NULL;
    (void)options;
    for (int i = 0; i < words_n; i++) {
        command = commands ? command_find(commands, words[i]) : NULL;
        if (!command && !commands)
            return err_set(err, ERR_INVALID, "'%s' has no commands of its own", path.data);
        if (!command)
            return command_unknown(commands, path.data ? path.data : "", words[i], err);
        buf_printf(&path, "%s%s", path.len ? " " : "", words[i]);
        commands = command->subcommands;
    }
    if (command)
        command_describe(command, path.data, &out);
    else
        program_describe(cli->program, &out);
    fputs(out.data, stdout);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "show help on a command",
    .examples = "  wherry help deploy\n"
                "  wherry help volume snapshot create\n",
    .words_max = 3,
    .local = true,
    .run = run_help,
};

static int run_completion(struct cli *cli, const void *options, int words_n, char **words,
                          struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    (void)options;
    (void)words_n;
    if (!completion_write(cli->program->commands, words[0], &out))
        return err_set(err, ERR_INVALID, "no completion for '%.40s': bash, zsh or fish", words[0]);
    fputs(out.data, stdout);
    return 0;
}

const struct command command_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .summary = "print a script with which the shell completes commands and options",
    .examples = "  wherry completion bash > /etc/bash_completion.d/wherry\n"
                "  wherry completion zsh > /usr/local/share/zsh/site-functions/_wherry\n"
                "  wherry completion fish > ~/.config/fish/completions/wherry.fish\n",
    .words_min = 1,
    .words_max = 1,
    .local = true,
    .run = run_completion,
};

static int run_manual(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    (void)options;
    (void)words_n;
    (void)words;
    (void)err;
    manual_write(cli->program, &out);
    fputs(out.data, stdout);
    return 0;
}

const struct command command_manual = {
    .name = "manual",
    .usage = "",
    .summary = "print the manual page wherry(1)",
    .details = "Print the manual page wherry(1): the help of every command.",
    .examples = "  wherry manual | man -l -\n"
                "  wherry manual > /usr/local/share/man/man1/wherry.1\n",
    .local = true,
    .run = run_manual,
};

static int run_stalls(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct stalls_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "debug.stalls", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json_one(&stalls_reply_type, &reply);
    else
        printf("longest %" PRId64 ".%03d ms; %" PRId64 " over 20 ms, %" PRId64
               " over 100 ms, of %" PRId64 " turns since the last time this was asked\n",
               reply.longest_us / 1000, (int)(reply.longest_us % 1000), reply.over_20ms,
               reply.over_100ms, reply.turns);
    return 0;
}

static const struct command debug_stalls = {
    .name = "stalls",
    .usage = "[--json]",
    .summary = "show how long the member's loop was away at the longest, and forget it",
    .json = true,
    .run = run_stalls,
};

const struct command command_debug = {
    .name = "debug",
    .usage = "",
    .details = "Commands for those who work on Wherry.",
    .subcommands = (const struct command *const[]){&debug_stalls, NULL},
};
