/* SPDX-License-Identifier: Apache-2.0 */
/* lock, unlock and key: the cluster key. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    KEY_TEXT_MAX = 256, /* of what is typed or in a file */
};

/* --- lock --------------------------------------------------------------------------------------
 */

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
}

static void print_key(const struct cli *cli, const struct lock_reply *reply, const char *before)
{
    if (cli->quiet) {
        puts(reply->unlock_key);
        return;
    }
    printf("%s\n\n    %s\n\n", before, reply->unlock_key);
    printf("Keep it outside of the cluster, such as in a password manager. Without it a cluster\n"
           "whose members have all started again cannot open its secrets: it cannot let machines\n"
           "join or renew certificates. 'wherry lock key' shows it as long as a member is open.\n");
}

static int set_lock(struct cli *cli, const char *to, const char *before, struct err *err)
{
    struct lock_set_request request = {.to = (char *)(uintptr_t)to};
    struct lock_reply reply;
    if (cli_call(cli, "lock.set", &request, &reply, err) < 0)
        return err->code;
    print_key(cli, &reply, before);
    wipe(reply.unlock_key);
    record_release(&lock_reply_type, &reply);
    return 0;
}

static int run_lock_on(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    (void)options;
    (void)words_n;
    (void)words;
    return set_lock(cli, "on",
                    "The cluster is locked. A member that starts again asks for the unlock key\n"
                    "('wherry unlock'):",
                    err);
}

static int run_lock_rotate(struct cli *cli, const void *options, int words_n, char **words,
                           struct err *err)
{
    (void)options;
    (void)words_n;
    (void)words;
    return set_lock(cli, "rotate", "The unlock key is another one now:", err);
}

static int run_lock_off(struct cli *cli, const void *options, int words_n, char **words,
                        struct err *err)
{
    struct lock_set_request request = {.to = (char[]){"off"}};
    struct lock_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "lock.set", &request, &reply, err) < 0)
        return err->code;
    printf("The lock is off. Each member keeps the cluster key on its disk.\n");
    record_release(&lock_reply_type, &reply);
    return 0;
}

static int run_lock_key(struct cli *cli, const void *options, int words_n, char **words,
                        struct err *err)
{
    struct lock_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "lock.key", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    puts(reply.unlock_key);
    wipe(reply.unlock_key);
    record_release(&lock_reply_type, &reply);
    return 0;
}

static const struct command lock_on = {
    .name = "on",
    .usage = "[-q]",
    .summary = "take the cluster key off the disks, and print the unlock key",
    .examples = "  wherry lock on\n",
    .quiet = true,
    .run = run_lock_on,
};

static const struct command lock_off = {
    .name = "off",
    .usage = "",
    .summary = "keep the cluster key on the members' disks again",
    .examples = "  wherry lock off\n",
    .run = run_lock_off,
};

static const struct command lock_rotate = {
    .name = "rotate",
    .usage = "[-q]",
    .summary = "make another unlock key; the one before is good for nothing then",
    .examples = "  wherry lock rotate\n",
    .quiet = true,
    .run = run_lock_rotate,
};

static const struct command lock_key = {
    .name = "key",
    .usage = "",
    .summary = "show the unlock key, as long as the called member is open",
    .examples = "  wherry lock key\n",
    .run = run_lock_key,
};

const struct command command_lock = {
    .name = "lock",
    .usage = "COMMAND",
    .summary = "have members ask for an unlock key when they start again",
    .details =
        "While the lock is on, no member has the cluster key on its disk: who steals a disk gets\n"
        "neither the CA's key nor secrets. A member that starts again votes and runs its tasks,\n"
        "but opens nothing until 'wherry unlock' was run on it.",
    .examples = "  wherry lock on\n"
                "  wherry lock key\n",
    .subcommands =
        (const struct command *const[]){&lock_on, &lock_off, &lock_rotate, &lock_key, NULL},
};

/* --- unlock ------------------------------------------------------------------------------------
 */

struct unlock_options {
    const char *key_file;
};

/* One line of @fd. */
static int read_line(int fd, const char *name, char *out, struct err *err)
{
    size_t len = 0;
    while (len < KEY_TEXT_MAX - 1) {
        ssize_t n = read(fd, out + len, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read %s", name);
        if (n == 0 || out[len] == '\n')
            break;
        len++;
    }
    out[len] = '\0';
    return *out ? 0 : err_set(err, ERR_INVALID, "%s gives no unlock key", name);
}

/* As read_line() without showing what is typed. */
static int ask_terminal(char *out, struct err *err)
{
    struct termios shown;
    struct termios hidden;
    if (tcgetattr(STDIN_FILENO, &shown) < 0)
        return err_errno(err, errno, "ask the terminal");
    fprintf(stderr, "Unlock key: ");
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    int rv = read_line(STDIN_FILENO, "the terminal", out, err);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    return rv;
}

static int read_key(const struct unlock_options *o, char *out, struct err *err)
{
    if (o->key_file && strcmp(o->key_file, "-") != 0) {
        cleanup_close int fd = open(o->key_file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(err, errno, "open %s", o->key_file);
        return read_line(fd, o->key_file, out, err);
    }
    if (!o->key_file && isatty(STDIN_FILENO))
        return ask_terminal(out, err);
    return read_line(STDIN_FILENO, "standard input", out, err);
}

static int run_unlock(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    char text[KEY_TEXT_MAX];
    struct empty reply;
    (void)words_n;
    (void)words;
    int rv = read_key(options, text, err);
    if (rv == 0)
        rv = cli_call(cli, "lock.open", &(struct lock_open_request){.unlock_key = text}, &reply,
                      err);
    explicit_bzero(text, sizeof(text));
    if (rv == 0)
        printf("This member is open.\n");
    return rv;
}

const struct command command_unlock = {
    .name = "unlock",
    .usage = "[--key-file FILE]",
    .summary = "open a locked member with the unlock key",
    .details = "Open the called member, which has started again while the cluster is locked. The\n"
               "key is asked for on a terminal and not shown, or is the first line of standard\n"
               "input or of FILE.",
    .examples = "  wherry unlock\n"
                "  wherry unlock --key-file /media/stick/wherry\n"
                "  pass wherry/unlock | wherry unlock\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct unlock_options, ARG_TEXT, key_file, 0, "key-file", "FILE",
                       "read the key from FILE ('-': from standard input)"),
            ARG_END,
        },
    .options_size = sizeof(struct unlock_options),
    .run = run_unlock,
};

/* --- key ---------------------------------------------------------------------------------------
 */

static int run_key_rotate(struct cli *cli, const void *options, int words_n, char **words,
                          struct err *err)
{
    struct empty reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "key.rotate", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    printf("There is a new cluster key, and what is sealed is sealed by it.\n");
    return 0;
}

static const struct command key_rotate = {
    .name = "rotate",
    .usage = "",
    .summary = "replace the cluster key, and seal by the new one what is sealed",
    .details =
        "Replace the key that encrypts what is secret in the state, such as the CA's key. Do it\n"
        "when a member was removed, or a disk or backup got into wrong hands together with it.\n"
        "Most members that hold the key must be up. The unlock key stays as it is.",
    .examples = "  wherry key rotate\n",
    .run = run_key_rotate,
};

const struct command command_key = {
    .name = "key",
    .usage = "COMMAND",
    .summary = "replace the key that encrypts what is secret in the state",
    .examples = "  wherry key rotate\n",
    .subcommands = (const struct command *const[]){&key_rotate, NULL},
};
