/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include "base/buf.h"
#include "base/cleanup.h"
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

static void put_case(const struct command *command, const char *path, struct buf *out)
{
    if (!command->summary)
        return;
    buf_printf(out, "    '%s') words='", path);
    size_t at = out->len;
    put_words(command, out);
    memmove(out->data + at, out->data + at + 1, out->len - at); /* the first blank */
    out->len--;
    buf_puts(out, "' ;;\n");
    for (const struct command *const *sub = command->subcommands; sub && *sub; sub++) {
        cleanup_buf struct buf longer = BUF_INIT;
        buf_printf(&longer, "%s %s", path, (*sub)->name);
        put_case(*sub, longer.data, out);
    }
}

static void write_bash(const struct command *const *commands, struct buf *out)
{
    buf_puts(out, "_wherry() {\n"
                  "    local current=${COMP_WORDS[COMP_CWORD]} path= word words=\n"
                  "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                  "        case \"${path:+$path }$word\" in\n"
                  "        ");
    for (const struct command *const *c = commands; *c; c++) {
        if (!(*c)->summary)
            continue;
        buf_printf(out, "%s'%s'", c == commands ? "" : " | ", (*c)->name);
        for (const struct command *const *sub = (*c)->subcommands; sub && *sub; sub++)
            buf_printf(out, " | '%s %s'", (*c)->name, (*sub)->name);
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
        put_case(*c, (*c)->name, out);
    buf_puts(out, "    esac\n"
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
