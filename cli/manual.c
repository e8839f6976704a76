/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manual.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/utf8.h"

#include <stdint.h>
#include <string.h>

/* What is not ASCII, at @text, by its number (groff_char(7)). Returns its length. */
static size_t put_wide(const char *text, struct buf *out)
{
    size_t len = utf8_length(text, strlen(text));
    uint32_t c = (unsigned char)text[0] & (0xff >> (len + 1));
    if (len < 2)
        return 1;
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)text[i] & 0x3f);
    buf_printf(out, "\\[u%04X]", c);
    return len;
}

/* A line that begins with a dot or a quote would be a request (groff(7), "Control characters"),
 * and "-" alone a hyphen, which cannot be copied to a shell. */
static void put_text(const char *text, struct buf *out)
{
    bool first = true;
    while (*text) {
        size_t len = 1;
        if (first && (*text == '.' || *text == '\''))
            buf_puts(out, "\\&");
        if (*text == '\\')
            buf_puts(out, "\\e");
        else if (*text == '-')
            buf_puts(out, "\\-");
        else if (*text == '\'')
            buf_puts(out, "\\(aq");
        else if ((unsigned char)*text > 127)
            len = put_wide(text, out);
        else
            buf_putc(out, *text);
        first = *text == '\n';
        text += len;
    }
}

/* The help of a command and of those below it, as it is printed. */
static void put_command(const struct command *command, const char *path, struct buf *out)
{
    cleanup_buf struct buf help = BUF_INIT;
    if (!command->summary)
        return;
    command_describe(command, path, &help);
    buf_puts(out, ".SS wherry ");
    put_text(path, out);
    buf_puts(out, "\n.nf\n");
    put_text(help.data, out);
    buf_puts(out, ".fi\n");
    for (const struct command *const *sub = command->subcommands; sub && *sub; sub++) {
        cleanup_buf struct buf longer = BUF_INIT;
        buf_printf(&longer, "%s %s", path, (*sub)->name);
        put_command(*sub, longer.data, out);
    }
}

void manual_write(const struct program *program, struct buf *out)
{
    cleanup_buf struct buf help = BUF_INIT;
    buf_printf(out,
               ".TH WHERRY 1 \"\" \"wherry %s\" \"User Commands\"\n"
               ".SH NAME\n"
               "wherry \\- run the services of Compose files on a cluster of machines\n"
               ".SH SYNOPSIS\n"
               ".B wherry\n"
               "[OPTIONS] COMMAND [ARGUMENTS]\n"
               ".SH DESCRIPTION\n"
               ".nf\n",
               program->version);
    program_describe(program, &help);
    put_text(help.data, out);
    buf_puts(out, ".fi\n"
                  ".SH COMMANDS\n");
    for (const struct command *const *c = program->commands; *c; c++)
        put_command(*c, (*c)->name, out);
    buf_puts(out, ".SH EXIT STATUS\n"
                  "0: it was done. 2: wrong usage, or a mistake in a file. 3: not found. 6: not\n"
                  "permitted. 7: unavailable for now. 8: not done in its time. Others are in the\n"
                  "reference. A line on standard error says why.\n"
                  ".SH SEE ALSO\n"
                  "The guide and the reference, in the folder of the package's documents.\n");
}
