/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/confirm.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void print_lines(const char *text)
{
    while (*text) {
        cleanup_buf struct buf clean = BUF_INIT;
        cleanup_buf struct buf line = BUF_INIT;
        size_t len = strcspn(text, "\n");
        buf_append(&line, text, len);
        text_clean(line.data ? line.data : "", &clean);
        fprintf(stderr, "%s\n", clean.data ? clean.data : "");
        text += len + (text[len] == '\n');
    }
}

int confirm(const char *warning, const char *what, struct err *err)
{
    char answer[16] = "";
    print_lines(warning);
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return err_set(err, ERR_CANCELED, "nothing was done: to %s all the same, add --yes", what);
    fprintf(stderr, "%c%s all the same? [y/N] ", what[0] - 'a' + 'A', what + 1);
    if (fgets(answer, sizeof(answer), stdin))
        answer[strcspn(answer, "\n")] = '\0';
    if (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0)
        return 0;
    return err_set(err, ERR_CANCELED, "nothing was done");
}
