/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token_input.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    TOKEN_TEXT_MAX = 300,
};

int token_read(char **ret, struct err *err)
{
    struct termios before;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    char line[TOKEN_TEXT_MAX];
    if (terminal) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fputs("Token: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool got = fgets(line, sizeof(line), stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (!got)
        return err_set(err, ERR_INVALID,
                       "no token was given: 'wherry token' on a member makes one to join "
                       "with, 'wherry token create' one for calls");
    line[strcspn(line, "\r\n")] = '\0';
    *ret = str_copy(line);
    explicit_bzero(line, sizeof(line));
    return 0;
}
