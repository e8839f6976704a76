/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secret_input.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    TOKEN_TEXT_MAX = 300,
};

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* A line of at most @max bytes without its end. */
static int read_line(const char *prompt, size_t max, char **ret, struct err *err)
{
    size_t size = max + 3;
    char *line = mem_alloc(size, 1);
    int rv = 0;
    if (!fgets(line, (int)size, stdin)) {
        rv = err_set(err, ERR_INVALID, "%s: nothing was given", prompt);
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        if (strlen(line) > max)
            rv = err_set(err, ERR_INVALID, "the %s is longer than %zu bytes", prompt, max);
    }
    if (rv == 0)
        *ret = str_copy(line);
    explicit_bzero(line, size);
    free(line);
    return rv;
}

int secret_read(const char *prompt, size_t max, char **ret, struct err *err)
{
    struct termios before;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "%s: ", prompt);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    int rv = read_line(prompt, max, ret, err);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return rv;
}

int line_ask(const char *prompt, size_t max, char **ret, struct err *err)
{
    if (!isatty(STDIN_FILENO))
        return err_set(err, ERR_INVALID, "%s: nothing was given, and there is no terminal to ask",
                       prompt);
    fprintf(stderr, "%s: ", prompt);
    return read_line(prompt, max, ret, err);
}

int token_read(char **ret, struct err *err)
{
    if (secret_read("Token", TOKEN_TEXT_MAX, ret, err) == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "no token was given: 'wherry token' on a member makes one to join "
                   "with, 'wherry token create' one for calls; to a registry it is 'wherry "
                   "registry login'");
}
