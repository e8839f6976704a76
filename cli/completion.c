/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/cli.h"

#include <string.h>

/* --- bash, and zsh through its emulation -------------------------------------------------------
 */

static void put_options(const struct arg_option *options, struct buf *out)
{
    for (const struct arg_option *o = options; o && o->name; o++)
        if (o->help)
            buf_printf(out, " --%s", o->name);
}

static void put_words(const struct command *command, struct buf *out)
{
    for (const struct command *const *sub = command->subcommands; sub && *sub; sub++)
        buf_printf(out, " %s", (*sub)->name);
    put_options(command->options, out);
    buf_printf(out, "%s%s%s", command->json ? " --json" : "", command->quiet ? " --quiet" : "",
               command->stale ? " --stale" : "");
    if (command->local)
        buf_puts(out, " --help");
    else
        put_options(global_options, out);
}

/* True when @noun has a list of its names ("node ls -q"), and @command takes some of them. */
static bool takes_of(const struct command *noun, const struct command *command)
{
    static const char *const makes[] = {"ls",   "create", "add", "load",
                                        "pull", "login",  "set", "run"};
    for (size_t i = 0; i < ARRAY_SIZE(makes); i++)
        if (strcmp(command->name, makes[i]) == 0)
            return false;
    for (const struct command *const *sub = noun->subcommands; sub && *sub; sub++)
        if (strcmp((*sub)->name, "ls") == 0)
            return (*sub)->quiet && command->words_max != 0;
    return false;
}

/* The commands whose output, with -q, are words that may follow, with commas. */
static void put_sources(const struct command *command, const struct command *noun, const char *path,
                        struct buf *out)
{
    static const struct {
        const char *word, *source;
    } words[] = {{"SERVICE", "ls"},   {"STACK", "stacks"},  {"TASK", "ps"},
                 {"CONTAINER", "ps"}, {" NODE", "node ls"}, {"[NODE]", "node ls"}};
    const char *usage = str_or_empty(command->usage);
    if (noun && takes_of(noun, command))
        buf_printf(out, " from='%.*sls'", (int)(strrchr(path, ' ') + 1 - path), path);
    if (noun || command->words_max == 0)
        return;
    const char *comma = " from='";
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!strstr(usage, words[i].word))
            continue;
        buf_printf(out, "%s%s", comma, words[i].source);
        comma = ",";
    }
    if (strcmp(comma, ",") == 0)
        buf_putc(out, '\'');
}

static void put_case(const struct command *command, const struct command *noun, const char *path,
                     struct buf *out)
{
    if (!command->summary)
        return;
    buf_printf(out, "    '%s') words='", path);
    size_t at = out->len;
    put_words(command, out);
    memmove(out->data + at, out->data + at + 1, out->len - at); /* the first blank */
    out->len--;
    buf_putc(out, '\'');
    put_sources(command, noun, path, out);
    buf_puts(out, " ;;\n");
    for (const struct command *const *sub = command->subcommands; sub && *sub; sub++) {
        cleanup_buf struct buf longer = BUF_INIT;
        buf_printf(&longer, "%s %s", path, (*sub)->name);
        put_case(*sub, command, longer.data, out);
    }
}

/* What may stand in "case" for @command and those below it. */
static void put_paths(const struct command *command, const char *path, const char *before,
                      struct buf *out)
{
    buf_printf(out, "%s'%s'", before, path);
    for (const struct command *const *sub = command->subcommands; sub && *sub; sub++) {
        cleanup_buf struct buf longer = BUF_INIT;
        buf_printf(&longer, "%s %s", path, (*sub)->name);
        put_paths(*sub, longer.data, " | ", out);
    }
}

static void write_bash(const struct command *const *commands, struct buf *out)
{
    buf_puts(out, "_wherry() {\n"
                  "    local current=${COMP_WORDS[COMP_CWORD]} path= word words= from= source\n"
                  "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                  "        case \"${path:+$path }$word\" in\n"
                  "        ");
    for (const struct command *const *c = commands; *c; c++) {
        if ((*c)->summary)
            put_paths(*c, (*c)->name, c == commands ? "" : " | ", out);
    }
    buf_puts(out, ")\n            path=\"${path:+$path }$word\" ;;\n"
                  "        esac\n"
                  "    done\n"
                  "    case $path in\n"
                  "    '') words='");
    for (const struct command *const *c = commands; *c; c++)
        if ((*c)->summary)
            buf_printf(out, "%s%s", c == commands ? "" : " ", (*c)->name);
    put_options(global_options, out);
    buf_puts(out, "' ;;\n");
    for (const struct command *const *c = commands; *c; c++)
        put_case(*c, NULL, (*c)->name, out);
    buf_puts(out, "    esac\n"
                  "    while [[ $from && $current != -* ]]; do\n"
                  "        source=${from%%,*}\n"
                  "        [[ $from == *,* ]] && from=${from#*,} || from=\n"
                  "        if [[ $source == stacks ]]; then\n"
                  "            words+=\" $(wherry ls -q 2>/dev/null | cut -d. -f1 | sort -u)\"\n"
                  "        else\n"
                  "            words+=\" $(wherry ${source% *} ${source#${source% *}} -q "
                  "2>/dev/null)\"\n"
                  "        fi\n"
                  "    done\n"
                  "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                  "}\n"
                  "complete -o default -F _wherry wherry\n");
}

/* --- fish --------------------------------------------------------------------------------------
 */

/* Texts here have no backslash and no quote but "'", which is doubled out of the string. */
static void put_quoted(const char *text, struct buf *out)
{
    buf_putc(out, '\'');
    for (; *text; text++)
        buf_printf(out, *text == '\'' ? "\\%c" : "%c", *text);
    buf_putc(out, '\'');
}

static void put_fish_options(const char *condition, const struct arg_option *options,
                             struct buf *out)
{
    for (const struct arg_option *o = options; o && o->name; o++) {
        if (!o->help)
            continue;
        buf_printf(out, "complete -c wherry%s", condition);
        if (o->letter)
            buf_printf(out, " -s %c", o->letter);
        buf_printf(out, " -l %s%s -d ", o->name, o->kind == ARG_FLAG ? "" : " -r");
        put_quoted(o->help, out);
        buf_putc(out, '\n');
    }
}

static void write_fish(const struct command *const *commands, struct buf *out)
{
    put_fish_options("", global_options, out);
    for (const struct command *const *c = commands; *c; c++) {
        cleanup_buf struct buf condition = BUF_INIT;
        if (!(*c)->summary)
            continue;
        buf_printf(out, "complete -c wherry -n __fish_use_subcommand -a %s -d ", (*c)->name);
        put_quoted((*c)->summary, out);
        buf_putc(out, '\n');
        buf_printf(&condition, " -n '__fish_seen_subcommand_from %s'", (*c)->name);
        put_fish_options(condition.data, (*c)->options, out);
        for (const struct command *const *sub = (*c)->subcommands; sub && *sub; sub++) {
            buf_printf(out, "complete -c wherry%s -a %s -d ", condition.data, (*sub)->name);
            put_quoted((*sub)->summary, out);
            buf_putc(out, '\n');
        }
    }
}

bool completion_write(const struct command *const *commands, const char *shell, struct buf *out)
{
    if (strcmp(shell, "bash") == 0) {
        write_bash(commands, out);
    } else if (strcmp(shell, "zsh") == 0) {
        buf_puts(out, "#compdef wherry\nautoload -U +X bashcompinit && bashcompinit\n");
        write_bash(commands, out);
    } else if (strcmp(shell, "fish") == 0) {
        write_fish(commands, out);
    } else {
        return false;
    }
    return true;
}
